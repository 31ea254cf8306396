// Frames that a process makes for others: createOutput('shared:…').
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { createOutput, memory, openCapture, type SharedVideoTrack, VideoFrame } from 'beamline'
import { until } from '../helpers/memory.js'
import { is, ownNames } from '../helpers/share.js'

const folder = ownNames()

const gray = { format: 'gray8', width: 64, height: 32 } as const
const first = (frame: VideoFrame) => frame.planes[0]?.bytes[0]

/** Draws and writes a grey picture. */
async function draw(video: SharedVideoTrack, timestamp: number, value = timestamp): Promise<void> {
  using frame = await video.frame({ ...gray, timestamp })
  frame.planes[0]?.bytes.fill(value)
  await video.write(frame)
}

/** The next frame's first byte and time; null at the end. */
async function next(frames: AsyncIterator<VideoFrame>): Promise<[number | undefined, number] | null> {
  const { done, value } = await frames.next()
  if (done) return null
  using frame = value as VideoFrame
  return [first(frame), frame.timestamp]
}

test('shared output: what is drawn is seen, and its views are empty after write()', async () => {
  await using output = await createOutput('shared:drawn', { clients: 1 })
  const video = output.addVideo({ width: 64, height: 32, frameRate: 50 })
  await using capture = await openCapture('shared:drawn', { policy: 'drop-oldest' })
  const { width, height, frameRate, pixelFormat } = capture.format
  assert.deepEqual([width, height, frameRate, pixelFormat], [64, 32, 50, null], 'as far as it is known')
  const frames = capture[Symbol.asyncIterator]()
  const frame = await video.frame({ timestamp: 7, duration: 5, format: 'RGBA', rotation: 90 })
  const [plane] = frame.planes
  plane!.bytes.fill(200)
  await video.write(frame)
  assert.equal(plane!.bytes.length, 0, 'nothing can be drawn any more')
  assert.equal(first(frame), 200, 'but it can be read')
  frame.close()
  const { value } = (await frames.next()) as IteratorYieldResult<VideoFrame>
  assert.deepEqual(
    [first(value), value.timestamp, value.duration, value.format, value.rotation, value.colorSpace.matrix],
    [200, 7, 5, 'RGBA', 90, 'rgb'],
  )
  value.close()
  const { frames: count, copies, clients } = output.stats()
  assert.deepEqual([count, copies, clients?.length, clients?.[0]?.pid], [1, 0, 1, process.pid])
  assert.equal(output.name, 'drawn')
})

test('shared output: frames of sources lie in memory of their own; what JavaScript made and what others share is copied, once', async () => {
  await using output = await createOutput('shared:mixed')
  const video = output.addVideo()
  await using reader = await openCapture('shared:mixed', { policy: 'drop-oldest', queue: 32 })
  const frames = reader[Symbol.asyncIterator]()
  const given = async (frame: VideoFrame) => {
    await video.write(frame)
    return next(frames)
  }
  let timestamp = 0
  const at = (frame: VideoFrame) => new VideoFrame(frame, { timestamp: ++timestamp })
  await using camera = await openCapture('pattern:solid?width=64&height=32&live=false&format=gray8&counter=false')
  for await (using frame of camera) {
    using same = at(frame)
    assert.deepEqual(await given(same), [first(frame), 1])
    break
  }
  assert.equal(output.stats().copies, 0)
  const bytes = new Uint8Array(64 * 32).fill(77)
  using made = new VideoFrame(bytes, { format: 'gray8', codedWidth: 64, codedHeight: 32, timestamp: ++timestamp })
  assert.deepEqual(await given(made), [77, 2])
  assert.equal(output.stats().copies, 1)
  // Another process's, as far as this one can tell: it comes through a share.
  const { value } = (await (await draw(video, ++timestamp, 99), frames.next())) as IteratorYieldResult<VideoFrame>
  using far = at(value)
  value.close()
  assert.deepEqual(await given(far), [99, 4])
  assert.deepEqual([output.stats().frames, output.stats().copies], [4, 2])
})

test('shared output: writes that are copied keep their order, and close() waits for them', async () => {
  const output = await createOutput('shared:order')
  const video = output.addVideo()
  await using reader = await openCapture('shared:order', { policy: 'drop-oldest', queue: 32 })
  const frames = reader[Symbol.asyncIterator]()
  const made = Array.from({ length: 8 }, (_, i) => {
    const init = { format: 'gray8', codedWidth: 640, codedHeight: 360, timestamp: i + 1 } as const
    return new VideoFrame(new Uint8Array(640 * 360).fill(i + 1), init)
  })
  const writes = made.map((frame) => {
    const done = video.write(frame)
    frame.close()
    return done
  })
  const closing = output.close()
  await assert.rejects(draw(video, 100), is('InvalidState', 'closed'))
  await Promise.all(writes)
  await closing
  for (let i = 1; i <= 8; i++) assert.deepEqual(await next(frames), [i, i])
  assert.equal(await next(frames), null)
  assert.deepEqual([output.stats().frames, output.stats().copies], [8, 8])
})

test('shared output: what cannot be is refused in words, and the output lives on', async () => {
  await using output = await createOutput('shared:strict')
  const refused = is('NotSupported', 'shared-output')
  const any = output as unknown as Record<string, (...args: unknown[]) => unknown>
  for (const name of ['addAudio', 'addVideoChunks', 'copy']) assert.throws(() => any[name]!({}), refused, name)
  for (const option of [{ codec: 'h264' }, { bitrate: 1e6 }]) assert.throws(() => any['addVideo']!(option), refused)
  for (const option of [{ container: 'mp4' }, { fragmented: false }])
    await assert.rejects(createOutput('shared:other', option as object), refused)
  await assert.rejects(createOutput('shared:strict'), is('Busy', 'share-taken'))
  await assert.rejects(createOutput('shared:not a name'), is('InvalidConfig', 'share-name'))
  await assert.rejects(createOutput('shared:other', { clients: 0 }), is('InvalidConfig', 'invalid-argument'))
  const video = output.addVideo()
  assert.throws(() => output.addVideo(), refused)
  const invalid = is('InvalidConfig', 'invalid-argument')
  await assert.rejects(video.frame({ timestamp: 1 }), invalid, 'no size is known yet')
  for (const wrong of [{ timestamp: 0.5 }, { timestamp: 1, format: 'nonsense' }, { timestamp: 1, width: 0 }])
    await assert.rejects(video.frame({ ...gray, ...wrong } as never), invalid, JSON.stringify(wrong))
  await draw(video, 5)
  using known = await video.frame({ timestamp: 6 })
  assert.deepEqual([known.codedWidth, known.codedHeight, known.format], [64, 32, 'I420'])
  await assert.rejects(draw(video, 5), is('InvalidConfig', 'timestamp-order'))
  const gone = await video.frame({ ...gray, timestamp: 7 })
  gone.close()
  await assert.rejects(video.write(gone), { name: 'InvalidStateError' })
  await draw(video, 8)
  assert.equal(output.stats().frames, 2)
})

test('shared output: close() tells the end, abort() and leaving the block an error; the name is free again', async () => {
  const signal = new AbortController()
  const reason = new Error('enough')
  const open = async () => {
    const output = await createOutput('shared:ends', { signal: signal.signal })
    const video = output.addVideo(gray)
    const capture = await openCapture('shared:ends', { policy: 'drop-oldest' })
    return { output, video, capture, frames: capture[Symbol.asyncIterator]() }
  }
  {
    const { output, video, capture, frames } = await open()
    await draw(video, 1)
    await output.close()
    assert.deepEqual([await next(frames), await next(frames)], [[1, 1], null])
    await assert.rejects(draw(video, 2), is('InvalidState', 'closed'))
    await output.close()
    await output.abort()
    await capture.close()
  }
  {
    const { output, video, capture, frames } = await open()
    await output.abort()
    await assert.rejects(next(frames), is('DeviceLost', 'output-aborted'))
    await assert.rejects(output.close(), { name: 'AbortError' })
    await assert.rejects(draw(video, 2), { name: 'AbortError' })
    await capture.close()
  }
  {
    const { output, capture, frames } = await open()
    await output[Symbol.asyncDispose]()
    await assert.rejects(next(frames), is('DeviceLost', 'output-aborted'))
    await capture.close()
  }
  {
    const { output, video, capture, frames } = await open()
    signal.abort(reason)
    await assert.rejects(next(frames), is('DeviceLost', 'output-aborted'))
    for (const late of [() => output.close(), () => video.frame({ timestamp: 1 })]) await assert.rejects(late, reason)
    await capture.close()
  }
  await assert.rejects(createOutput('shared:ends', { signal: signal.signal }), reason)
  const again = await createOutput('shared:ends')
  await again.close()
  assert.deepEqual(readdirSync(folder), [])
})

test('shared output: memory that readers and open frames hold is waited for, and not for ever', async () => {
  const output = await createOutput('shared:full')
  const large = { format: 'gray8', width: 8192, height: 7168 } as const
  const video = output.addVideo(large)
  const open: VideoFrame[] = []
  const full = (options: object = {}) => video.frame({ ...large, timestamp: 1, ...options })
  // Nothing is drawn: memory that nobody touches is not there.
  const quota = is('Quota', 'frames-not-closed')
  await assert.rejects(
    async () => {
      for (;;) open.push(await full({ timeoutMs: 50 }))
    },
    (error) => quota(error) && /\b(8|16) frames/.test((error as Error).message),
  )
  const waiting = full()
  open.pop()?.close()
  open.push(await waiting)
  const controller = new AbortController()
  const cancelled = full({ signal: controller.signal })
  controller.abort(new Error('no patience'))
  await assert.rejects(cancelled, /no patience/)
  const cut = assert.rejects(full(), { name: 'AbortError' })
  await output.abort()
  await cut
  for (const frame of open) frame.close()
  await until(() => memory.stats().live === 0, 'all slots back')
})
