// A share that one process hosts and another one fills: openCapture('shared:…', { host: true }) and createOutput('shared:…').
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { BeamlineError, createOutput, memory, openCapture, type VideoFrame } from 'beamline'
import { type Ended, runModule } from '../helpers/child.js'
import { scratch } from '../helpers/media.js'
import { assertMode, expectedMode, nothingIsHeld } from '../helpers/memory.js'

const folder = scratch()
before(() => {
  process.env['BEAMLINE_SHARES'] = folder
})
after(() => nothingIsHeld())

test('hosted share: the run is in the zero-copy mode that it was asked for', assertMode)

const clean = (ended: Ended) => assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr)

/** A child that draws `count` pictures, each of its own grey; then it does `last`. */
const draws = (name: string, count: number, last: string) => `
  import { createOutput, memory } from 'beamline'
  const out = await createOutput('shared:${name}')
  const video = out.addVideo({ width: 320, height: 180, frameRate: 50 })
  for (let n = 1; n <= ${count}; n++) {
    const frame = await video.frame({ timestamp: n * 20000 })
    for (const { bytes } of frame.planes) bytes.fill(n)
    await video.write(frame)
    frame.close()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  ${last}
  console.log(JSON.stringify({ ...out.stats(), live: memory.stats().live }))`

/** Every byte of a frame. */
const greys = (frame: VideoFrame) => new Set(frame.planes.flatMap(({ bytes }) => [...bytes.subarray(0, 320)]))

test('hosted share: another process draws in our memory, and both and a third see the same', async () => {
  await using capture = await openCapture('shared:drawn', { host: true, queue: 64, policy: 'drop-oldest' })
  assert.equal(capture.format.pixelFormat, null)
  const before = memory.stats().copies
  const ours: Array<[number, number]> = []
  const reading = (async () => {
    for await (const frame of capture) {
      const seen = greys(frame)
      assert.equal(seen.size, 1)
      assert.deepEqual([frame.codedWidth, frame.codedHeight, frame.format], [320, 180, 'I420'])
      ours.push([frame.timestamp, [...seen][0] as number])
      frame.close()
    }
  })()
  const reads = runModule(`
    import { memory, openCapture } from 'beamline'
    const capture = await openCapture('shared:drawn', { policy: 'drop-oldest', queue: 32 })
    let seen = 0
    for await (const frame of capture) {
      if (frame.planes[0].bytes[0] !== frame.timestamp / 20000) throw new Error('another picture')
      seen++
      frame.close()
    }
    console.log(JSON.stringify({ seen, copies: memory.stats().copies }))`)
  const ended = await runModule(draws('drawn', 40, 'await out.close()'))
  clean(ended)
  await reading
  await capture.close()
  const third = await reads
  clean(third)
  assert.deepEqual(
    ours,
    Array.from({ length: 40 }, (_, n) => [(n + 1) * 20000, n + 1]),
  )
  const { frames, copies, live } = JSON.parse(ended.stdout) as { frames: number; copies: number; live: number }
  assert.deepEqual([frames, copies, live], [40, 0, 0])
  const other = JSON.parse(third.stdout) as { seen: number; copies: number }
  // It may have come when some were drawn already.
  assert.ok(other.seen > 0, 'the third process saw none')
  assert.equal(other.copies, expectedMode === 'copy' ? other.seen : 0)
  assert.equal(memory.stats().copies - before, expectedMode === 'copy' ? ours.length : 0)
})

test('hosted share: a producer that is killed is an error of the host within 100 ms, and what it drew stays', async () => {
  await using capture = await openCapture('shared:killed', { host: true, queue: 64, policy: 'drop-oldest' })
  let killed = 0
  const held: VideoFrame[] = []
  const reading = (async () => {
    for await (const frame of capture) held.push(frame)
  })()
  reading.catch(() => undefined)
  const ended = await runModule(draws('killed', 3, "console.log('drawn'); setInterval(() => out.stats(), 1000)"), {
    onOutput(child) {
      killed = performance.now()
      child.kill('SIGKILL')
    },
  })
  assert.equal(ended.signal, 'SIGKILL', ended.stderr)
  await assert.rejects(
    reading,
    (error) => error instanceof BeamlineError && error.code === 'DeviceLost' && error.reason === 'producer-gone',
  )
  const knew = performance.now() - killed
  assert.ok(knew < 100, `known after ${knew} ms`)
  assert.deepEqual(
    held.map((frame) => [...greys(frame)]),
    [[1], [2], [3]],
  )
  for (const frame of held) frame.close()
})

test('hosted share: one producer at a time; what is said of it fits nobody else', async () => {
  await using capture = await openCapture({ device: 'shared:one', host: true })
  const out = await createOutput('shared:one')
  const is = (code: string, reason: string) => (error: unknown) =>
    error instanceof BeamlineError && error.code === code && error.reason === reason
  await assert.rejects(createOutput('shared:one'), is('Busy', 'share-produced'))
  await assert.rejects(openCapture('shared:one', { host: true }), is('Busy', 'share-taken'))
  await assert.rejects(openCapture('shared:two?host=true&hold=3'), is('InvalidConfig', 'unknown-option'))
  out.addVideo({ width: 64, height: 32 })
  await out.close()
  for await (const frame of capture) assert.fail(`a frame at ${frame.timestamp} that nobody drew`)
})

test('hosted share: a reader hands a frame to another one, which gets it while the first still holds it', async () => {
  await using capture = await openCapture('shared:over', { host: true })
  const out = await createOutput('shared:over')
  const video = out.addVideo({ width: 64, height: 32 })
  const open = (takeHanded: boolean) => openCapture('shared:over', { policy: 'drop-oldest', queue: 8, takeHanded })
  await using one = await open(false)
  await using other = await open(true)
  const [mine, theirs] = [one[Symbol.asyncIterator](), other[Symbol.asyncIterator]()]
  const next = async (frames: AsyncIterator<VideoFrame>) =>
    ((await frames.next()) as IteratorYieldResult<VideoFrame>).value
  const [first, second] = [next(mine), next(theirs)]
  {
    using frame = await video.frame({ timestamp: 7 })
    for (const { bytes } of frame.planes) bytes.fill(9)
    await video.write(frame)
  }
  const held = await first
  ;(await second).close()
  assert.notEqual(one.client, other.client)
  assert.ok(other.client !== null && capture.client === null)
  assert.equal(await one.handOver(held, other.client as number), true)
  const handed = await next(theirs)
  assert.deepEqual([held.handedBy, handed.handedBy], [null, one.client])
  // Who did not ask for it gets nothing from others.
  assert.equal(await one.handOver(held, one.client as number), false)
  held.close()
  assert.deepEqual([handed.timestamp, ...greys(handed)], [7, 9])
  assert.equal(await one.handOver(handed, 4711).catch((error: BeamlineError) => error.reason), 'frame-of-another-share')
  handed.close()
  await assert.rejects(capture.handOver(await video.frame({ timestamp: 8 }).then((f) => (f.close(), f)), 1), {
    name: 'InvalidStateError',
  })
  await out.close()
})
