import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { memory, runtime, VideoFrame, type VideoFrameToken } from 'beamline'
import { noise } from '../helpers/formats.js'
import { copiesOf, copyOfLook, nothingIsHeld, until } from '../helpers/memory.js'

const BYTES = noise(64 * 32)
const make = () =>
  new VideoFrame(BYTES, { format: 'gray8', codedWidth: 64, codedHeight: 32, timestamp: 77, duration: 3, rotation: 90 })

/** A worker that runs this text with `beamline` and `parentPort` at hand. */
function worker(code: string): Worker {
  const text = `import { parentPort } from 'node:worker_threads'
    import { runtime, VideoFrame } from '${import.meta.resolve('beamline')}'
    ${code}`
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(text)}`))
}

const isVoid = { name: 'BeamlineError', code: 'NotFound', reason: 'token-void' }

test('toToken, fromToken: a worker_thread sees the very bytes, without a copy, and gives its own back', async () => {
  const frame = make()
  const thread = worker(`parentPort.postMessage(runtime.zeroCopyMode)
  parentPort.on('message', (token) => {
    if (token === 'end') return parentPort.close()
    const frame = VideoFrame.fromToken(token)
    const { bytes, stride } = frame.planes[0]
    const row = Buffer.from(bytes.subarray(stride, stride + 64)).toString('hex')
    bytes[0] = 0xa5
    const { timestamp, duration, rotation, pixelFormat } = frame
    parentPort.postMessage({ row, timestamp, duration, rotation, pixelFormat, back: frame.toToken() })
    frame.close()
  })`)
  // Both probes are behind us: they take slots of their own.
  assert.deepEqual(await once(thread, 'message'), [runtime.zeroCopyMode])
  const { allocations } = memory.stats()
  const reply = once(thread, 'message')
  const copies = await copiesOf(async () => {
    thread.postMessage(frame.toToken())
    const [{ back, ...said }] = (await reply) as [Record<string, unknown> & { back: VideoFrameToken }]
    const row = Buffer.from(BYTES.subarray(64, 128)).toString('hex')
    assert.deepEqual(said, { row, timestamp: 77, duration: 3, rotation: 90, pixelFormat: 'gray8' })
    using returned = VideoFrame.fromToken(back)
    if (copyOfLook === 0) assert.equal(returned.planes[0]?.bytes[0], 0xa5, 'what the worker wrote')
  })
  assert.equal(memory.stats().allocations, allocations, 'no further slot')
  assert.equal(copies, copyOfLook, "looks in mode 'copy' alone are copies")
  thread.postMessage('end')
  await once(thread, 'exit')
  frame.close()
})

test('a token is good once', () => {
  using frame = make()
  const token = frame.toToken()
  VideoFrame.fromToken(token).close()
  assert.throws(() => VideoFrame.fromToken(token), isVoid)
})

test('a token is a plain object that survives JSON', () => {
  using frame = make()
  const token = frame.toToken()
  assert.equal(token.beamlineFrame, 1)
  VideoFrame.fromToken(JSON.parse(JSON.stringify(token)) as VideoFrameToken).close()
})

test('a token outlives the frame that it was made of', () => {
  const frame = make()
  const token = frame.toToken()
  frame.close()
  using again = VideoFrame.fromToken(token)
  assert.deepEqual(again.planes[0]?.bytes.slice(64, 128), BYTES.slice(64, 128))
})

test('fromToken: what is no token is an invalid argument, a token that never was is void', () => {
  for (const wrong of [undefined, null, {}, { beamlineFrame: 2, token: 1 }, 'token']) {
    assert.throws(() => VideoFrame.fromToken(wrong as VideoFrameToken), {
      name: 'BeamlineError',
      reason: 'invalid-argument',
    })
  }
  for (const token of [1e15, -1, 0.5, Number.NaN]) {
    assert.throws(() => VideoFrame.fromToken({ beamlineFrame: 1, token }), isVoid)
  }
})

test('a frame itself is not cloned: structuredClone() and postMessage() throw, and say what to use', () => {
  const frame = make()
  const refused = { name: 'DataCloneError', message: /frame\.toToken\(\)/ }
  assert.throws(() => structuredClone(frame), refused)
  assert.throws(() => structuredClone({ deep: [frame] }), refused)
  const { port1, port2 } = new MessageChannel()
  assert.throws(() => port1.postMessage(frame), refused)
  port1.close()
  port2.close()
  const copy = frame.clone()
  frame.close()
  assert.throws(() => structuredClone(frame), refused)
  assert.throws(() => structuredClone(copy), refused)
  copy.close()
})

test('a token is void, its slot free and counted, when the worker that made it has ended', async () => {
  await nothingIsHeld()
  const { expiredTokens, live } = memory.stats()
  const thread = worker(`
    const frame = new VideoFrame(new Uint8Array(64), { format: 'gray8', codedWidth: 8, codedHeight: 8, timestamp: 0 })
    parentPort.postMessage(frame.toToken())
    frame.close()
    parentPort.on('message', () => parentPort.close())`)
  const [token] = (await once(thread, 'message')) as [VideoFrameToken]
  assert.equal(memory.stats().live, live + 1)
  thread.postMessage('end')
  await once(thread, 'exit')
  await until(() => memory.stats().expiredTokens === expiredTokens + 1, 'one expired token more')
  assert.throws(() => VideoFrame.fromToken(token), isVoid)
  await until(() => memory.stats().live === live, 'the slot given back')
})

test('a token that nobody redeems is void after 5 s, its slot free and counted', async () => {
  await nothingIsHeld()
  const { expiredTokens, live } = memory.stats()
  const frame = make()
  const token = frame.toToken()
  frame.close()
  assert.equal(memory.stats().live, live + 1)
  const begin = performance.now()
  await until(() => memory.stats().expiredTokens === expiredTokens + 1, 'one expired token more')
  const ms = performance.now() - begin
  assert.ok(ms > 4500 && ms < 9000, `after ${ms} ms`)
  assert.throws(() => VideoFrame.fromToken(token), isVoid)
})

test('tokens: after everything here no slot is live and no frame is open', nothingIsHeld)
