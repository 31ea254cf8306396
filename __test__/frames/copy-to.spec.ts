import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { VideoFrame, type VideoPixelFormat } from 'beamline'
import { FORMATS, noise, packedBytes, planeSize } from '../helpers/formats.js'
import { copiesOf, nothingIsHeld } from '../helpers/memory.js'

const W = 26
const H = 14

describe('copyTo: without a format it gives the bytes as they were', () => {
  for (const format of FORMATS) {
    test(format.name, async () => {
      const bytes = noise(packedBytes(format, W, H), 3)
      using frame = new VideoFrame(bytes, {
        format: format.name as VideoPixelFormat,
        codedWidth: W,
        codedHeight: H,
        timestamp: 0,
      })
      assert.equal(frame.allocationSize(), bytes.length)
      const out = new Uint8Array(bytes.length + 8).fill(0xee)
      let layout: unknown
      assert.equal(await copiesOf(async () => (layout = await frame.copyTo(out))), 1)
      assert.deepEqual(out.subarray(0, bytes.length), bytes)
      assert.deepEqual([...out.subarray(bytes.length)], Array(8).fill(0xee), 'nothing behind')
      let at = 0
      const expected = format.planes.map((shape) => {
        const { rowBytes, rows } = planeSize(shape, W, H)
        const plane = { offset: at, stride: rowBytes }
        at += rowBytes * rows
        return plane
      })
      assert.deepEqual(layout, expected)
    })
  }
})

const i420 = (bytes = noise((W * H * 3) / 2)) =>
  new VideoFrame(bytes, { format: 'I420', codedWidth: W, codedHeight: H, timestamp: 0 })

test('copyTo: a rectangle, and only it', async () => {
  const bytes = noise((W * H * 3) / 2)
  using frame = i420(bytes)
  const rect = { x: 4, y: 2, width: 8, height: 6 }
  assert.equal(frame.allocationSize({ rect }), 72)
  const out = new Uint8Array(72)
  await frame.copyTo(out, { rect })
  for (let y = 0; y < 6; y++) {
    assert.deepEqual(out.slice(y * 8, y * 8 + 8), bytes.slice((y + 2) * W + 4, (y + 2) * W + 12))
  }
  const u = W * H
  for (let y = 0; y < 3; y++) {
    const from = u + (y + 1) * (W / 2) + 2
    assert.deepEqual(out.slice(48 + y * 4, 52 + y * 4), bytes.slice(from, from + 4))
  }
})

test('copyTo: without a rect it is the visible part', async () => {
  using frame = i420()
  using part = new VideoFrame(frame, { visibleRect: { x: 2, y: 2, width: 4, height: 4 } })
  assert.equal(part.allocationSize(), 24)
  const [mine, same] = [new Uint8Array(24), new Uint8Array(24)]
  await part.copyTo(mine)
  await frame.copyTo(same, { rect: { x: 2, y: 2, width: 4, height: 4 } })
  assert.deepEqual(mine, same)
})

test('copyTo: a layout is followed and what lies between is not touched', async () => {
  const bytes = noise((W * H * 3) / 2)
  using frame = i420(bytes)
  const layout = [
    { offset: 300, stride: 32 },
    { offset: 0, stride: 20 },
    { offset: 150, stride: 16 },
  ]
  const size = frame.allocationSize({ layout })
  assert.equal(size, 300 + 32 * (H - 1) + W)
  const out = new Uint8Array(size).fill(0xaa)
  assert.deepEqual(await frame.copyTo(out, { layout }), layout)
  assert.deepEqual(out.slice(300, 300 + W), bytes.slice(0, W))
  assert.deepEqual([...out.slice(300 + W, 332)], Array(6).fill(0xaa))
  assert.deepEqual(out.slice(20, 20 + W / 2), bytes.slice(W * H + W / 2, W * H + W))
  assert.deepEqual([...out.slice(13, 20)], Array(7).fill(0xaa))
})

test('copyTo: 3840×2160 goes in slices: the event loop turns between, the bytes are right', async () => {
  const [width, height] = [3840, 2160]
  const bytes = noise((width * height * 3) / 2)
  using frame = new VideoFrame(bytes, { format: 'NV12', codedWidth: width, codedHeight: height, timestamp: 0 })
  const out = new Uint8Array(bytes.length)
  let turns = 0
  let going = true
  const count = () => {
    turns++
    if (going) setImmediate(count)
  }
  setImmediate(count)
  await frame.copyTo(out)
  going = false
  assert.ok(Buffer.compare(out, bytes) === 0)
  assert.ok(turns >= 3, `${turns} turns of the event loop`)
})

test('copyTo: a frame may be closed while a large copy goes on', async () => {
  const bytes = noise(3840 * 2160)
  const frame = new VideoFrame(bytes, { format: 'gray8', codedWidth: 3840, codedHeight: 2160, timestamp: 0 })
  const out = new Uint8Array(bytes.length)
  const copied = frame.copyTo(out)
  frame.close()
  await copied
  assert.ok(Buffer.compare(out, bytes) === 0)
})

test('copyTo: a large conversion runs beside the JavaScript thread and gives the same as a small one', async () => {
  const [width, height] = [1920, 1080]
  const bytes = noise((width * height * 3) / 2)
  const colorSpace = { matrix: 'bt709', fullRange: false } as const
  using frame = new VideoFrame(bytes, {
    format: 'I420',
    codedWidth: width,
    codedHeight: height,
    timestamp: 0,
    colorSpace,
  })
  const far = new Uint8Array(width * height * 4)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await frame.copyTo(far, { format: 'RGBA' })
  clearInterval(timer)
  const near = new Uint8Array(width * 64 * 4)
  await frame.copyTo(near, { format: 'RGBA', rect: { x: 0, y: 512, width, height: 64 } })
  assert.ok(Buffer.compare(near, far.subarray(512 * width * 4, 576 * width * 4)) === 0)
  assert.ok(turns > 0, 'timers went on')
})

test('copyTo: a large conversion that is aborted rejects with the reason and holds nothing', async () => {
  const frame = new VideoFrame(new Uint8Array(1920 * 1088 * 1.5), {
    format: 'I420',
    codedWidth: 1920,
    codedHeight: 1088,
    timestamp: 0,
  })
  const abort = new AbortController()
  const out = new Uint8Array(1920 * 1088 * 4)
  const copied = frame.copyTo(out, { format: 'RGBA', signal: abort.signal })
  const reason = new Error('changed my mind')
  abort.abort(reason)
  await assert.rejects(copied, (error) => error === reason)
  await assert.rejects(frame.copyTo(out, { signal: abort.signal }), (error) => error === reason)
  frame.close()
  await nothingIsHeld()
})

test('copyTo: what does not fit is a RangeError, what cannot be a TypeError, display-p3 a NotSupportedError', async () => {
  using frame = i420()
  const need = frame.allocationSize()
  await assert.rejects(
    frame.copyTo(new Uint8Array(need - 1)),
    (e) => e instanceof RangeError && e.message.includes(String(need)),
  )
  await assert.rejects(frame.copyTo('no' as unknown as Uint8Array), TypeError)
  const big = new Uint8Array(need * 4)
  for (const options of [
    { rect: { x: 0, y: 0, width: W + 1, height: H } },
    { rect: { x: 0, y: 0, width: 0, height: H } },
    { rect: { x: 1, y: 0, width: 4, height: 4 } },
    { rect: { x: 0.5, y: 0, width: 4, height: 4 } },
    { layout: [{ offset: 0, stride: W }] },
    {
      layout: [
        { offset: 0, stride: W - 1 },
        { offset: 400, stride: 13 },
        { offset: 500, stride: 13 },
      ],
    },
    {
      layout: [
        { offset: 0, stride: W },
        { offset: 10, stride: 13 },
        { offset: 500, stride: 13 },
      ],
    },
    { format: 'RGB565' as 'RGBA' },
  ]) {
    await assert.rejects(frame.copyTo(big, options), TypeError, JSON.stringify(options))
  }
  await assert.rejects(frame.copyTo(big, { format: 'RGBA', colorSpace: 'display-p3' }), { name: 'NotSupportedError' })
  await assert.rejects(frame.copyTo(big, { format: 'I420P10' }), { name: 'NotSupportedError' })
})

test('copyTo: after everything here no slot is live and no frame is open', nothingIsHeld)
