// A share that one process hosts and another one fills: openCapture('shared:…', { host: true }) and createOutput('shared:…').
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { BeamlineError, type Capture, createOutput, listDevices, memory, openCapture, type VideoFrame } from 'beamline'
import { runModule } from '../helpers/child.js'
import { assertMode, expectedMode, until } from '../helpers/memory.js'
import { clean, draws, greys, is, ownNames } from '../helpers/share.js'

ownNames()

test('hosted share: the run is in the zero-copy mode that it was asked for', assertMode)

const next = async (frames: AsyncIterator<VideoFrame>) =>
  ((await frames.next()) as IteratorYieldResult<VideoFrame>).value
const known = ({ format: { pixelFormat, width, height } }: Capture) => [pixelFormat, width, height]

test('hosted share: another process draws in our memory, and both and a third see the same', async () => {
  await using capture = await openCapture('shared:drawn', { host: true, queue: 64, policy: 'drop-oldest' })
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

test('hosted share: one producer at a time; what is said of it fits nobody else', async () => {
  await using capture = await openCapture({ device: 'shared:one', host: true })
  const out = await createOutput('shared:one')
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

test('hosted share: a hand-over is answered though no loop is under way', async () => {
  await using _host = await openCapture('shared:idle', { host: true })
  const out = await createOutput('shared:idle')
  const video = out.addVideo({ width: 64, height: 32 })
  const show = async (timestamp: number) => {
    using frame = await video.frame({ timestamp })
    for (const { bytes } of frame.planes) bytes.fill(timestamp)
    await video.write(frame)
  }
  await using one = await openCapture('shared:idle', { policy: 'drop-oldest', queue: 8 })
  await using other = await openCapture('shared:idle', { policy: 'drop-oldest', queue: 8, takeHanded: true })
  const [mine, theirs] = [one[Symbol.asyncIterator](), other[Symbol.asyncIterator]()]
  const first = next(mine)
  await show(7)
  const held = await first
  await mine.return?.()
  // The source's thread hears of the loop's end with the next frame, and then nobody reads.
  await show(8)
  await until(() => one.stats().captured === 2, 'the second frame')
  for (const at of [7, 8]) {
    using frame = await next(theirs)
    assert.equal(frame.timestamp, at)
  }
  const begin = performance.now()
  assert.equal(await one.handOver(held, other.client as number), true)
  const ms = performance.now() - begin
  console.log(`# handed over in ${ms.toFixed(1)} ms while nobody read`)
  assert.ok(ms < 2500, `${ms} ms`)
  held.close()
  const handed = await next(theirs)
  assert.deepEqual([handed.timestamp, handed.handedBy, ...greys(handed)], [7, one.client, 7])
  handed.close()
  await out.close()
})

test('hosted share: its host knows who fills it and who reads it; a guest says that it does not know', async () => {
  const capture = await openCapture('shared:known', { host: true, policy: 'drop-oldest', queue: 8 })
  assert.equal(capture.clients?.length, 0)
  const out = await createOutput('shared:known')
  const video = out.addVideo({ width: 64, height: 32 })
  await using reader = await openCapture('shared:known', { policy: 'drop-oldest', queue: 8 })
  assert.equal(reader.clients, null)
  const frames = reader[Symbol.asyncIterator]()
  const held: VideoFrame[] = []
  for (let timestamp = 1; timestamp <= 6; timestamp++) {
    using frame = await video.frame({ timestamp })
    await video.write(frame)
    if (timestamp <= 2) held.push(await next(frames))
  }
  const ofReader = () => capture.clients?.find((client) => !client.produces)
  // It holds two, one lies in its loop's hands and as many as it may hold besides.
  await until(() => (ofReader()?.waiting ?? 0) + (ofReader()?.granted ?? 0) === 6, 'all frames told of')
  const [producer, ...others] = capture.clients?.filter((client) => client.produces) ?? []
  assert.equal(others.length, 0)
  assert.deepEqual([producer?.pid, ofReader()?.pid, ofReader()?.id], [process.pid, process.pid, reader.client])
  assert.ok((ofReader()?.held ?? 0) >= 2 && (producer?.held ?? 0) > 0)
  for (const stats of [out.stats(), (await out.close(), out.stats())]) {
    assert.deepEqual([stats.frames, stats.clients, stats.swept], [6, undefined, undefined])
  }
  await until(() => capture.clients?.every((client) => !client.produces) === true, 'the end of the producer')
  for (const frame of held) frame.close()
  await capture.close()
  assert.deepEqual(capture.clients, [])
})

test("hosted share: how many may read is the host's to say, and nobody else is heard", async () => {
  await using capture = await openCapture('shared:few', { host: true, clients: 1 })
  await assert.rejects(createOutput('shared:few', { clients: 5 }), is('InvalidConfig', 'invalid-argument'))
  const out = await createOutput('shared:few')
  await using reader = await openCapture('shared:few')
  await assert.rejects(openCapture('shared:few'), is('Quota', 'share-full'))
  // Of those who read: the producer has no place among them, and its end was not told by who was refused.
  assert.deepEqual(capture.clients?.map((client) => client.produces).sort(), [false, true])
  for (const clients of [0, 1025, 1.5])
    await assert.rejects(openCapture('shared:other', { host: true, clients }), is('InvalidConfig', 'bad-option'))
  await assert.rejects(openCapture('shared:few', { clients: 2 }), is('InvalidConfig', 'unknown-option'))
  await reader.close()
  await out.close()
})

test('hosted share: what comes is not known before somebody says it, and formatchange tells it', async () => {
  await using capture = await openCapture('shared:unknown', { host: true, policy: 'drop-oldest' })
  await using reader = await openCapture('shared:unknown', { policy: 'drop-oldest' })
  const nothing = [null, null, null]
  assert.deepEqual([known(capture), known(reader)], [nothing, nothing])
  const [device] = await listDevices({ kind: 'shared' })
  assert.deepEqual([device?.id, device?.formats], ['shared:unknown', []])
  // Reading begins before there is anything, and waits for it.
  const loops = [capture, reader].map((of) => of[Symbol.asyncIterator]())
  const firsts = loops.map(next)
  const out = await createOutput('shared:unknown')
  const told = Promise.all([capture, reader].map((of) => once(of, 'formatchange')))
  const video = out.addVideo({ width: null, height: null, frameRate: null })
  {
    using frame = await video.frame({ timestamp: 1, width: 64, height: 32, format: 'gray8' })
    await video.write(frame)
  }
  for (const frame of await Promise.all(firsts)) {
    assert.deepEqual([frame.pixelFormat, frame.codedWidth, frame.codedHeight], ['gray8', 64, 32])
    frame.close()
  }
  await told
  const grey = ['gray8', 64, 32]
  assert.deepEqual([known(capture), known(reader)], [grey, grey])
  await using late = await openCapture('shared:unknown')
  assert.deepEqual(known(late), grey)
  const [now] = await listDevices({ kind: 'shared' })
  assert.deepEqual(now?.formats[0]?.maxSize, { width: 64, height: 32 })
  await out.close()
})

test('hosted share: a child fills it over an inherited end, where it sees neither name nor directory', async () => {
  await using capture = await openCapture('shared:inherited', { host: true, queue: 64, policy: 'drop-oldest' })
  const end = await capture.invite()
  assert.equal(end.url, `shared:fd:${end.fd}`)
  const seen: number[] = []
  const reading = (async () => {
    for await (using frame of capture) seen.push(...greys(frame))
  })()
  let producer: number | undefined
  let child: number | undefined
  const ended = await runModule(draws('fd:3', 5, "console.log('drawn'); await out.close()"), {
    fds: [end.fd],
    env: { BEAMLINE_SHARES: '/nowhere', HOME: '/' },
    onOutput(of) {
      child = of.pid
      producer ??= capture.clients?.[0]?.pid
    },
  })
  end.close()
  clean(ended)
  await reading
  assert.deepEqual(seen, [1, 2, 3, 4, 5])
  // It may have gone before it was looked for.
  if (producer !== undefined) assert.equal(producer, child)
  await using local = await openCapture('pattern:ball?width=64&height=32')
  await assert.rejects(local.invite(), is('InvalidState', 'not-hosted'))
  assert.equal(local.clients, null)
  await capture.close()
  await assert.rejects(capture.invite(), is('InvalidState', 'closed'))
  await assert.rejects(createOutput('shared:fd:9999'), is('NotFound', 'no-share-fd'))
  await assert.rejects(createOutput('shared:fd:three'), is('InvalidConfig', 'invalid-argument'))
})

test('hosted share: formats change while one reader keeps a frame of each and another does nothing', async () => {
  await using _host = await openCapture('shared:changing', { host: true, queue: 16, policy: 'drop-oldest' })
  const out = await createOutput('shared:changing')
  const video = out.addVideo()
  await using keeper = await openCapture('shared:changing', { policy: 'drop-oldest', queue: 16, hold: 12 })
  await using idler = await openCapture('shared:changing', { policy: 'drop-oldest', queue: 2, hold: 2 })
  const frames = keeper[Symbol.asyncIterator]()
  let changes = 0
  keeper.onformatchange = () => changes++
  const forms = [
    [64, 'I420'],
    [1280, 'I420'],
    [96, 'gray8'],
    [640, 'RGBA'],
    [64, 'NV12'],
    [1920, 'gray8'],
  ] as const
  const kept: VideoFrame[] = []
  for (const [number, [width, format]] of forms.entries()) {
    for (const second of [false, true]) {
      const drawn = await video.frame({ timestamp: number * 10 + Number(second), width, height: 48, format })
      for (const { bytes } of drawn.planes) bytes.fill(number + 1)
      await video.write(drawn)
      drawn.close()
      const frame = await next(frames)
      if (second) frame.close()
      else kept.push(frame)
    }
    assert.deepEqual([keeper.format.width, keeper.format.height], [width, 48])
    // Those of formats that are over are what they were.
    for (const [before, frame] of kept.entries()) assert.deepEqual([...greys(frame)], [before + 1], `${number}`)
  }
  assert.deepEqual(
    kept.map((frame) => [frame.codedWidth, frame.format ?? frame.pixelFormat]),
    forms.map(([width, format]) => [width, format]),
  )
  await until(() => changes > 0, 'word of the changes')
  // Who did nothing all the time begins with what waits for it, and finds itself in the format of today.
  const late = idler[Symbol.asyncIterator]()
  for (let at = 0; at < 51;) {
    using frame = await next(late)
    assert.deepEqual([...greys(frame)], [Math.floor(frame.timestamp / 10) + 1])
    at = frame.timestamp
  }
  assert.deepEqual([idler.format.pixelFormat, idler.format.width], ['gray8', 1920])
  for (const frame of kept) frame.close()
  await out.close()
})

test('hosted share: a guest that waits for room does not hold up its event loop', async () => {
  await using capture = await openCapture('shared:waiting', { host: true })
  const ended = await runModule(`
    import { createOutput, VideoFrame } from 'beamline'
    const out = await createOutput('shared:waiting')
    const large = { width: 8192, height: 7168, format: 'gray8' }
    const video = out.addVideo(large)
    const open = []
    try {
      for (;;) open.push(await video.frame({ ...large, timestamp: 1, timeoutMs: 200 }))
    } catch (error) {
      if (error.reason !== 'frames-not-closed') throw error
    }
    const bytes = new Uint8Array(8192 * 7168)
    const made = new VideoFrame(bytes, { format: 'gray8', codedWidth: 8192, codedHeight: 7168, timestamp: 1 })
    let [ticks, longest, last, done] = [0, 0, performance.now(), false]
    const writing = video.write(made).then(() => (done = true))
    const timer = setInterval(() => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
      ticks++
      out.stats()
    }, 2)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    clearInterval(timer)
    const waited = !done
    open.pop().close()
    await writing
    for (const frame of open) frame.close()
    made.close()
    await out.close()
    console.log(JSON.stringify({ held: open.length + 1, waited, ticks, longest, ...out.stats() }))`)
  clean(ended)
  const told = JSON.parse(ended.stdout) as Record<'held' | 'ticks' | 'longest' | 'frames' | 'copies', number> & {
    waited: boolean
  }
  console.log(`# while write() waited: ${told.ticks} ticks, the longest gap ${told.longest.toFixed(1)} ms`)
  // As many as are granted ahead.
  assert.deepEqual([told.held, told.waited, told.frames, told.copies], [4, true, 1, 1])
  assert.ok(told.longest < 250, `${told.longest} ms`)
  assert.ok(told.ticks > 50, `${told.ticks} ticks`)
  await capture.close()
})

test("hosted share: a host's pictures are shared again as they are, without a copy, and their end is told there too", async () => {
  await using capture = await openCapture('shared:inner', { host: true })
  await using share = await capture.share('outer')
  const before = memory.stats().copies
  const reads = (name: string) =>
    runModule(`
      import { memory, openCapture } from 'beamline'
      const capture = await openCapture('shared:${name}', { policy: 'drop-oldest', queue: 32 })
      const seen = []
      let kept, told
      try {
        for await (const frame of capture) {
          const greys = new Set(frame.planes.flatMap(({ bytes }) => [...bytes.subarray(0, 320)]))
          seen.push([frame.timestamp, ...greys])
          if (kept) frame.close()
          kept ??= frame
        }
      } catch ({ code, reason }) {
        told = [code, reason]
      }
      // Its first one was open all the time, and its maker is dead.
      const still = kept.planes[0].bytes[0]
      kept.close()
      await capture.close()
      console.log(JSON.stringify({ seen, told, still, copies: memory.stats().copies }))`)
  const readers = ['inner', 'outer'].map(reads)
  await until(() => share.clients.length === 1 && capture.clients?.length === 1, 'a reader at each share')
  // So few that nobody on the way drops one, however late.
  const count = 4
  const last = "console.log('drawn'); setInterval(() => out.stats(), 1000)"
  const producer = await runModule(draws('inner', count, last), { onOutput: (child) => child.kill('SIGKILL') })
  assert.equal(producer.signal, 'SIGKILL', producer.stderr)
  const drawn = Array.from({ length: count }, (_, n) => [(n + 1) * 20000, n + 1])
  for (const reader of await Promise.all(readers)) {
    clean(reader)
    assert.deepEqual(JSON.parse(reader.stdout), {
      seen: drawn,
      told: ['DeviceLost', 'producer-gone'],
      still: 1,
      copies: expectedMode === 'copy' ? count : 0,
    })
  }
  assert.equal(memory.stats().copies, before)
})
