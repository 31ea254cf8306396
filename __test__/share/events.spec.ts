// What a reader hears of the source besides its frames: end, errors, formats, numbers.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
  BeamlineError,
  CaptureErrorEvent,
  encodeImage,
  openCapture,
  openInput,
  type Capture,
  VideoFrame,
} from 'beamline'
import { pathToFileURL } from 'node:url'
import { clip, files, root, scratch } from '../helpers/media.js'
import { assertMode, nothingIsHeld, until } from '../helpers/memory.js'

const folder = scratch()
before(() => {
  process.env['BEAMLINE_SHARES'] = join(folder, 'names')
})
after(() => nothingIsHeld())

test('shared events: the run is in the zero-copy mode that it was asked for', assertMode)

const BALL = 'pattern:ball?width=64&height=36&frameRate=50'

/** Two pictures of different size, over and over. */
async function changing(): Promise<string> {
  for (const [number, width] of [64, 32].entries()) {
    const bytes = new Uint8Array(width * 16 * 4).fill(width)
    const frame = new VideoFrame(bytes, { format: 'RGBA', codedWidth: width, codedHeight: 16, timestamp: 0 })
    writeFileSync(join(folder, `shot${number}.png`), await encodeImage(frame))
    frame.close()
  }
  return `${folder}/shot%d.png?loop=true&frameRate=20`
}

/** Reads until the format has changed four times; gives what was seen. */
async function watchFormats(
  capture: Capture,
): Promise<{ wrong: number; frames: number; events: number; widths: Set<number> }> {
  let events = 0
  let handled = 0
  capture.addEventListener('formatchange', () => events++)
  capture.onformatchange = () => handled++
  const widths = new Set<number>()
  let wrong = 0
  let frames = 0
  for await (const frame of capture) {
    frames++
    widths.add(frame.codedWidth)
    if (capture.format.width !== frame.codedWidth) wrong++
    assert.equal(frame.planes[0]?.bytes.at(0), frame.codedWidth, 'the pixels of its size')
    frame.close()
    if (events >= 4) break
  }
  assert.equal(handled, events)
  return { wrong, frames, events, widths }
}

test('formatchange: a capture and the readers of its share hear of it, and format follows with the frames', async () => {
  await using capture = await openCapture(await changing())
  await using share = await capture.share('changing')
  await using reader = await openCapture(`shared:${share.name}`, { queue: 8, policy: 'drop-oldest' })
  const before = reader.format
  const [ours, theirs] = await Promise.all([watchFormats(capture), watchFormats(reader)])
  for (const { events, widths } of [ours, theirs]) {
    assert.ok(events >= 4)
    assert.deepEqual([...widths].sort(), [32, 64])
  }
  // The format is that of the source, which may be one frame ahead of a loop on a busy machine.
  assert.ok(ours.wrong * 4 <= ours.frames, `${ours.wrong} of ${ours.frames}`)
  assert.notEqual(reader.format, before)
  assert.ok(Object.isFrozen(reader.format))
  const last = reader.format
  await reader.close()
  assert.equal(reader.format, last)
})

test('ended: the end of a shared source ends its readers, with the event and without an error', async () => {
  await using capture = await openCapture(`${BALL}&frames=50`)
  await using share = await capture.share('ending')
  await using reader = await openCapture(`shared:${share.name}`, { policy: 'drop-oldest', queue: 16 })
  const ended = once(reader, 'ended')
  reader.onerror = () => assert.fail('an end is no error')
  let frames = 0
  for await (const frame of reader) {
    frame.close()
    frames++
  }
  await ended
  assert.ok(frames >= 1 && frames <= 50)
})

test('error: what ends a shared source ends its readers with the same code, reason and message', async () => {
  const whole = readFileSync(files.y4m())
  const path = join(folder, 'cut.y4m')
  writeFileSync(path, whole.subarray(0, whole.length - 1000))
  await using capture = await openCapture(`${path}?live=false`)
  await using share = await capture.share('cut')
  await using reader = await openCapture(`shared:${share.name}`, { policy: 'drop-oldest' })
  const heard = once(reader, 'error') as Promise<[CaptureErrorEvent]>
  const failure = async (of: Capture) => {
    try {
      for await (const frame of of) frame.close()
    } catch (error) {
      return error
    }
    return undefined
  }
  const [theirs, ours] = await Promise.all([failure(reader), failure(capture)])
  assert.ok(ours instanceof BeamlineError && theirs instanceof BeamlineError)
  assert.deepEqual([theirs.code, theirs.reason, theirs.message], [ours.code, ours.reason, ours.message])
  assert.deepEqual([ours.code, ours.reason], ['Data', 'truncated'])
  const [event] = await heard
  assert.equal(event.error, theirs)
  // Who comes later is told the same.
  await assert.rejects(openCapture(`shared:${share.name}`), { code: 'Data', reason: 'truncated' })
})

test('stats: captured and lost of a reader are together what the share has published since it joined', async () => {
  await using capture = await openCapture('pattern:ball?width=64&height=36&frameRate=100')
  await using share = await capture.share('counted')
  const before = share.stats().published
  await using reader = await openCapture(`shared:${share.name}`, { policy: 'drop-oldest', queue: 2, hold: 2 })
  const joined = share.stats().published
  const held: VideoFrame[] = []
  const loop = reader[Symbol.asyncIterator]()
  for (let i = 0; i < 2; i++) held.push((await loop.next()).value as VideoFrame)
  await until(() => share.stats().published > joined + 40, 'frames that nobody takes')
  for (const frame of held) frame.close()
  for (let i = 0; i < 10; i++) ((await loop.next()).value as VideoFrame).close()
  await loop.return?.()
  const published = share.stats().published
  const seen = () => reader.stats().captured + reader.stats().lost
  await until(() => seen() >= published - joined, 'what was published')
  const all = seen()
  assert.ok(all <= share.stats().published - before, `${all} frames`)
  assert.ok(reader.stats().dropped >= 10, 'what the loop did not take')
})

test('hold and policy: what a reader may not ask for is refused', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('asked')
  const url = `shared:${share.name}`
  for (const hold of [0, 25, 1.5]) await assert.rejects(openCapture(url, { hold }), { code: 'InvalidConfig' })
  await assert.rejects(openCapture(BALL, { hold: 2 }), { code: 'InvalidConfig', reason: 'unknown-option' })
  await using reader = await openCapture(url, { hold: 6 })
  assert.throws(() => reader.frames({ policy: 'block' })[Symbol.asyncIterator](), { code: 'InvalidConfig' })
  const held: VideoFrame[] = []
  for await (const frame of reader) if (held.push(frame) === 6) break
  for (const frame of held) frame.close()
})

test('pace: a file is shared as fast as it is decoded where that is said', async () => {
  await using input = await openInput(clip)
  const begin = performance.now()
  await using share = await input.video!.frames({ to: 5_000_000 }).share('fast', { pace: 'fast' })
  await using reader = await openCapture(`shared:${share.name}`, { policy: 'drop-oldest' }).catch(() => undefined)
  await until(() => share.stats().published >= 124, 'all frames')
  const ms = performance.now() - begin
  console.log(`# five seconds of film were shared in ${ms.toFixed(0)} ms`)
  assert.ok(ms < 4500, `${ms} ms`)
  await reader?.close()
})

const solid = (color: string) =>
  openCapture(`pattern:solid?width=64&height=36&frameRate=50&counter=false&format=RGBA&color=%23${color}`)

test('worker_threads: a worker reads two shares of its own process, in its own mode, and leaves nothing', async () => {
  const script = join(folder, 'worker.mjs')
  writeFileSync(
    script,
    `
    import { parentPort } from 'node:worker_threads'
    import { openCapture, runtime } from '${pathToFileURL(join(root, 'dist', 'index.js')).href}'
    const [a, b] = await Promise.all([openCapture('shared:one'), openCapture('shared:two')])
    const seen = []
    for (const capture of [a, b]) {
      let count = 0
      for await (const frame of capture) {
        seen.push(frame.planes[0].bytes[0])
        frame.close()
        if (++count === 5) break
      }
    }
    await a.close()
    await b.close()
    parentPort.postMessage({ seen, mode: runtime.zeroCopyMode })`,
  )
  await using one = await solid('400000')
  await using two = await solid('800000')
  await using a = await one.share('one')
  await using b = await two.share('two')
  const worker = new Worker(script)
  // Before anything is waited for: its end may come together with its last message.
  const exited = once(worker, 'exit')
  const [{ seen, mode }] = (await once(worker, 'message')) as [{ seen: number[]; mode: string }]
  await exited
  assert.equal(mode, process.env['BEAMLINE_ZERO_COPY'] || 'external')
  assert.deepEqual(seen, [...Array<number>(5).fill(0x40), ...Array<number>(5).fill(0x80)])
  await until(() => a.clients.length + b.clients.length === 0, 'the end of both readers')
})

test('two shares open at once: their frames never meet, whatever order they are looked at in', async () => {
  await using one = await solid('400000')
  await using two = await solid('800000')
  await using a = await one.share('one')
  await using b = await two.share('two')
  await using first = await openCapture(`shared:${a.name}`)
  await using second = await openCapture(`shared:${b.name}`)
  const [x, y] = [first[Symbol.asyncIterator](), second[Symbol.asyncIterator]()]
  for (let i = 0; i < 20; i++) {
    const frames = await Promise.all([x.next(), y.next()])
    const [p, q] = frames.map(({ value }) => value as VideoFrame) as [VideoFrame, VideoFrame]
    const [late, early] = [q.planes[0]?.bytes, p.planes[0]?.bytes]
    assert.deepEqual([early?.[0], late?.[0], early?.at(-4), late?.at(-4)], [0x40, 0x80, 0x40, 0x80])
    p.close()
    q.close()
  }
})
