import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory, openCapture, VideoFrame } from 'beamline'
import { noise } from '../helpers/formats.js'
import { assertMode, copiesOf, copyOfLook, expectedMode, nothingIsHeld } from '../helpers/memory.js'

const I420 = { format: 'I420', codedWidth: 64, codedHeight: 32, timestamp: 10, duration: 5 } as const
const make = () => new VideoFrame(noise(64 * 32 * 1.5), I420)
const closed = { name: 'InvalidStateError', message: /closed/ }

test('VideoFrame life: the run is in the zero-copy mode that it was asked for', assertMode)

test('VideoFrame: a view kept after close() is empty, and a DataView over its buffer throws', () => {
  const frame = make()
  const kept = frame.planes.map((p) => p.bytes)
  const buffer = kept[0]?.buffer as ArrayBuffer
  const words = new DataView(buffer)
  assert.ok(kept.every((bytes) => bytes.length > 0))
  frame.close()
  assert.deepEqual(
    kept.map((bytes) => bytes.length),
    [0, 0, 0],
  )
  assert.throws(() => words.getUint8(0), TypeError)
  assert.equal(kept[0]?.[0], undefined)
})

test('VideoFrame: a view kept from one frame never shows the pixels of the next', async () => {
  const capture = await openCapture('pattern:noise?width=64&height=64&live=false&frames=40')
  let before: Uint8Array | undefined
  for await (const frame of capture) {
    assert.equal(before?.length ?? 0, 0)
    before = frame.planes[0]?.bytes
    assert.equal(before?.length, 64 * 64)
    frame.close()
  }
  await capture.close()
})

test('VideoFrame: planes are made once: the same arrays at each access', () => {
  const frame = make()
  assert.equal(frame.planes, frame.planes)
  assert.equal(frame.planes[0]?.bytes, frame.planes[0]?.bytes)
  frame.close()
})

test(`VideoFrame: a look at planes costs ${copyOfLook} copies in mode ${expectedMode}, a second look none`, async () => {
  const frame = make()
  const copies = await copiesOf(() => frame.planes[0]?.bytes[0])
  assert.equal(copies, copyOfLook)
  assert.equal(await copiesOf(() => frame.planes[1]?.bytes[0]), 0)
  console.log(`# copies per look, ${expectedMode}: ${copies}`)
  frame.close()
})

test('VideoFrame: close() twice does nothing more', () => {
  const [one, two] = [make(), make()]
  one.close()
  const { openFrames } = memory.stats()
  one.close()
  assert.equal(memory.stats().openFrames, openFrames)
  assert.equal(two.planes.length, 3)
  two.close()
})

test('VideoFrame: Symbol.dispose closes it', () => {
  const before = memory.stats().openFrames
  let kept: Uint8Array | undefined
  {
    using frame = make()
    kept = frame.planes[0]?.bytes
    assert.equal(memory.stats().openFrames, before + 1)
  }
  assert.equal(memory.stats().openFrames, before)
  assert.equal(kept?.length, 0)
})

test('VideoFrame: a closed one says nothing of its picture, keeps its times, and refuses what needs it', async () => {
  const frame = make()
  frame.close()
  assert.deepEqual(
    [frame.format, frame.pixelFormat, frame.codedRect, frame.visibleRect, frame.codedWidth, frame.codedHeight],
    [null, null, null, null, 0, 0],
  )
  assert.deepEqual([frame.displayWidth, frame.displayHeight, frame.rotation, frame.flip], [0, 0, 0, false])
  assert.deepEqual([frame.timestamp, frame.duration], [10, 5])
  for (const use of [
    () => frame.planes,
    () => frame.clone(),
    () => frame.writable(),
    () => frame.toToken(),
    () => frame.allocationSize(),
    () => new VideoFrame(frame),
  ]) {
    assert.throws(use, closed)
  }
  await assert.rejects(frame.copyTo(new Uint8Array(10_000)), closed)
})

test('VideoFrame: clone() shares the memory: no copy, no slot, the same bytes', async () => {
  const frame = make()
  const { allocations, live } = memory.stats()
  const copies = await copiesOf(() => {
    const clone = frame.clone()
    assert.deepEqual(memory.stats().allocations, allocations)
    assert.deepEqual(memory.stats().live, live)
    assert.deepEqual([clone.timestamp, clone.duration, clone.format], [10, 5, 'I420'])
    clone.close()
  })
  assert.equal(copies, 0)
  frame.close()
})

test('VideoFrame: a clone lives on when the first is closed', () => {
  const frame = make()
  const clone = frame.clone()
  frame.close()
  assert.deepEqual(clone.planes[0]?.bytes.slice(0, 64), noise(64 * 32 * 1.5).slice(0, 64))
  clone.close()
})

test(
  'VideoFrame: what is written through one holder is seen by the other, without a copy',
  { skip: expectedMode === 'copy' && 'in mode copy each look is a copy of its own' },
  () => {
    const frame = make()
    const clone = frame.clone()
    const [a, b] = [frame.planes[0]?.bytes, clone.planes[0]?.bytes]
    assert.ok(a && b)
    a[100] = (b[100] ?? 0) ^ 0xff
    assert.equal(b[100], a[100])
    frame.close()
    clone.close()
  },
)

test('new VideoFrame(frame, init): says anew what init has, keeps the rest, shares the memory', async () => {
  const frame = make()
  const copies = await copiesOf(() => {
    const next = new VideoFrame(frame, {
      timestamp: 99,
      rotation: 90,
      flip: true,
      visibleRect: { x: 2, y: 2, width: 8, height: 6 },
    })
    assert.deepEqual([next.timestamp, next.duration, next.rotation, next.flip], [99, 5, 90, true])
    assert.deepEqual([next.displayWidth, next.displayHeight, next.codedWidth], [6, 8, 64])
    const further = new VideoFrame(next, { rotation: 270, flip: true, duration: 1 })
    assert.deepEqual([further.rotation, further.flip, further.duration], [0, false, 1])
    next.close()
    further.close()
  })
  assert.equal(copies, 0)
  assert.equal(frame.rotation, 0)
  assert.throws(() => new VideoFrame(frame, { visibleRect: { x: 0, y: 0, width: 65, height: 1 } }), TypeError)
  assert.throws(() => new VideoFrame(frame, { timestamp: Number.NaN }), TypeError)
  frame.close()
})

test('writable(): the only holder is the same frame, over the same memory: no slot, no copy', async () => {
  const frame = make()
  const { allocations } = memory.stats()
  const kept = frame.planes[0]?.bytes
  let mine: VideoFrame | undefined
  assert.equal(await copiesOf(() => (mine = frame.writable())), 0)
  assert.equal(memory.stats().allocations, allocations)
  assert.equal(mine, frame)
  assert.equal(kept?.length, 0, 'views from before are empty')
  assert.deepEqual([frame.timestamp, frame.duration], [10, 5])
  const bytes = frame.planes[0]?.bytes
  assert.deepEqual(bytes?.slice(0, 64), noise(64 * 32 * 1.5).slice(0, 64))
  // What is written is seen by whoever comes later, in every mode.
  bytes![3] = (bytes![3] ?? 0) ^ 0xff
  const written = bytes![3]
  const clone = frame.clone()
  assert.equal(clone.planes[0]?.bytes[3], written)
  clone.close()
  const { openFrames } = memory.stats()
  const again = frame.writable()
  assert.equal(again.planes[0]?.bytes[3], written)
  assert.equal(memory.stats().openFrames, openFrames)
  again.close()
  frame.close()
  assert.throws(() => frame.writable(), closed)
})

test('writable(): with another holder it is a copy, counted once, and the other sees nothing of it', async () => {
  const frame = make()
  const other = frame.clone()
  const { allocations } = memory.stats()
  let mine: VideoFrame | undefined
  assert.equal(await copiesOf(() => (mine = frame.writable())), 1)
  assert.equal(memory.stats().allocations, allocations + 1)
  const [a, b] = [mine?.planes[0]?.bytes, other.planes[0]?.bytes]
  assert.ok(a && b)
  const before = b[7] ?? 0
  assert.equal(a[7], before)
  a[7] = before ^ 0xff
  assert.equal(b[7], before)
  assert.throws(() => frame.planes, closed)
  mine?.close()
  other.close()
})

test('writable(): a token that waits is another holder', async () => {
  const frame = make()
  const token = frame.toToken()
  let mine: VideoFrame | undefined
  assert.equal(await copiesOf(() => (mine = frame.writable())), 1)
  VideoFrame.fromToken(token).close()
  mine?.close()
})

test('writable(): what a closed clone leaves behind is no holder', async () => {
  const frame = make()
  const clone = frame.clone()
  assert.ok(clone.planes.length)
  clone.close()
  let mine: VideoFrame | undefined
  assert.equal(await copiesOf(() => (mine = frame.writable())), 0)
  mine?.close()
})

test('VideoFrame life: after everything here no slot is live and no frame is open', nothingIsHeld)
