import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memory, runtime, VideoFrame, type VideoFrameBufferInit, type VideoPixelFormat } from 'beamline'
import { FORMATS, noise, packedBytes, planeSize } from '../helpers/formats.js'
import { assertMode, nothingIsHeld } from '../helpers/memory.js'

const grey = (init: Partial<VideoFrameBufferInit> = {}): VideoFrameBufferInit => ({
  format: 'gray8',
  codedWidth: 8,
  codedHeight: 4,
  timestamp: 0,
  ...init,
})

test('VideoFrame: the run is in the zero-copy mode that it was asked for', assertMode)

test('runtime.features.pixelFormats: the published formats, no other', () => {
  assert.deepEqual([...runtime.features.pixelFormats].sort(), FORMATS.map((f) => f.slug).sort())
})

describe('VideoFrame from bytes: planes hold what was given, row by row', () => {
  for (const format of FORMATS) {
    test(`${format.name} at 18×10 and 17×9`, () => {
      for (const [width, height] of [
        [18, 10],
        [17, 9],
      ] as const) {
        const bytes = noise(packedBytes(format, width, height))
        const init = { format: format.name as VideoPixelFormat, codedWidth: width, codedHeight: height, timestamp: 7 }
        const frame = new VideoFrame(bytes, init)
        assert.equal(frame.format, format.w3c ? format.name : null)
        assert.equal(frame.pixelFormat, format.slug)
        assert.equal(frame.planes.length, format.planes.length)
        let at = 0
        for (const [i, shape] of format.planes.entries()) {
          const { rowBytes, rows } = planeSize(shape, width, height)
          const plane = frame.planes[i]
          assert.ok(plane && plane.stride >= rowBytes)
          for (let y = 0; y < rows; y++, at += rowBytes) {
            const row: Uint8Array = plane.bytes.subarray(y * plane.stride, y * plane.stride + rowBytes)
            assert.deepEqual(row, bytes.subarray(at, at + rowBytes), `plane ${i}, row ${y}`)
          }
        }
        assert.equal(at, bytes.length)
        frame.close()
      }
    })
  }
})

test('VideoFrame from bytes: they are copied: writing to the source later changes nothing', () => {
  const bytes = new Uint8Array(32).fill(5)
  const frame = new VideoFrame(bytes, grey())
  bytes.fill(9)
  assert.equal(frame.planes[0]?.bytes[0], 5)
  frame.close()
})

test('VideoFrame from bytes: ArrayBuffer, SharedArrayBuffer, DataView and a view in the middle of a buffer give the same', () => {
  const all = noise(64)
  const part = all.slice(16, 48)
  const shared = new SharedArrayBuffer(32)
  new Uint8Array(shared).set(part)
  const sources = [
    all.subarray(16, 48),
    part.buffer,
    shared,
    new DataView(all.buffer, 16, 32),
    new Uint16Array(all.buffer, 16, 16),
  ]
  for (const source of sources) {
    const frame = new VideoFrame(source, grey())
    const plane = frame.planes[0]
    assert.ok(plane)
    for (let y = 0; y < 4; y++) {
      assert.deepEqual(plane.bytes.slice(y * plane.stride, y * plane.stride + 8), part.slice(y * 8, y * 8 + 8))
    }
    frame.close()
  }
})

test('VideoFrame from bytes: an explicit layout is followed: offsets, padding and planes in any order', () => {
  const bytes = noise(400)
  const layout = [
    { offset: 200, stride: 20 },
    { offset: 3, stride: 9 },
    { offset: 100, stride: 5 },
  ]
  const frame = new VideoFrame(bytes, { format: 'I420', codedWidth: 8, codedHeight: 4, timestamp: 0, layout })
  for (const [i, { offset, stride }] of layout.entries()) {
    const plane = frame.planes[i]
    assert.ok(plane)
    const [width, rows] = i === 0 ? [8, 4] : [4, 2]
    for (let y = 0; y < rows; y++) {
      const from = offset + y * stride
      assert.deepEqual(plane.bytes.slice(y * plane.stride, y * plane.stride + width), bytes.slice(from, from + width))
    }
  }
  frame.close()
})

test('VideoFrame: what was said of it is what it says', () => {
  const visibleRect = { x: 2, y: 1, width: 5, height: 3 }
  const colorSpace = { primaries: 'bt709', transfer: 'iec61966-2-1', matrix: 'smpte170m', fullRange: true } as const
  const frame = new VideoFrame(
    new Uint8Array(32),
    grey({ timestamp: -5, duration: 40, visibleRect, rotation: 90, flip: true, colorSpace }),
  )
  assert.equal(frame.timestamp, -5)
  assert.equal(frame.duration, 40)
  assert.deepEqual({ ...frame.visibleRect }, visibleRect)
  assert.deepEqual(frame.codedRect, { x: 0, y: 0, width: 8, height: 4 })
  assert.deepEqual([frame.codedWidth, frame.codedHeight], [8, 4])
  assert.deepEqual([frame.displayWidth, frame.displayHeight], [3, 5])
  assert.equal(frame.rotation, 90)
  assert.equal(frame.flip, true)
  assert.deepEqual(frame.colorSpace.toJSON(), colorSpace)
  assert.equal(Object.prototype.toString.call(frame), '[object VideoFrame]')
  // Nothing of its own but what keeps it from being cloned: see toToken().
  assert.deepEqual(Object.keys(frame), ['notCloneable'])
  frame.close()
})

test('VideoFrame: rotation is taken to the nearest quarter turn, modulo 360', () => {
  const turns = [0, 90, 180, 270, 360, 450, -90].map((rotation) => {
    const frame = new VideoFrame(new Uint8Array(32), grey({ rotation }))
    const got = frame.rotation
    frame.close()
    return got
  })
  assert.deepEqual(turns, [0, 90, 180, 270, 0, 90, 270])
})

test('VideoFrame: without words about it, no duration, no turn, and RGB is sRGB', () => {
  const frame = new VideoFrame(new Uint8Array(32 * 4), grey({ format: 'RGBA' }))
  assert.equal(frame.duration, null)
  assert.equal(frame.rotation, 0)
  assert.equal(frame.flip, false)
  assert.deepEqual({ ...frame.visibleRect }, { x: 0, y: 0, width: 8, height: 4 })
  assert.deepEqual(frame.colorSpace.toJSON(), {
    primaries: 'bt709',
    transfer: 'iec61966-2-1',
    matrix: 'rgb',
    fullRange: true,
  })
  frame.close()
})

describe('VideoFrame: a TypeError for what cannot be', () => {
  const impossible: Record<string, [unknown, unknown]> = {
    'no init': [new Uint8Array(32), undefined],
    'null as init': [new Uint8Array(32), null],
    'a string as data': ['bytes', grey()],
    'an array as data': [[1, 2, 3], grey()],
    'an unknown format': [new Uint8Array(32), grey({ format: 'RGB565' as 'RGBA' })],
    'no format': [new Uint8Array(32), { codedWidth: 8, codedHeight: 4, timestamp: 0 }],
    'width 0': [new Uint8Array(32), grey({ codedWidth: 0 })],
    'height 1.5': [new Uint8Array(32), grey({ codedHeight: 1.5 })],
    'width NaN': [new Uint8Array(32), grey({ codedWidth: Number.NaN })],
    'width −8': [new Uint8Array(32), grey({ codedWidth: -8 })],
    'width 2^32': [new Uint8Array(32), grey({ codedWidth: 2 ** 32 })],
    'width 100 000': [new Uint8Array(32), grey({ codedWidth: 100_000 })],
    'no timestamp': [new Uint8Array(32), { format: 'gray8', codedWidth: 8, codedHeight: 4 }],
    'timestamp Infinity': [new Uint8Array(32), grey({ timestamp: Number.POSITIVE_INFINITY })],
    'too few bytes': [new Uint8Array(31), grey()],
    'a visibleRect outside': [new Uint8Array(32), grey({ visibleRect: { x: 4, y: 0, width: 5, height: 4 } })],
    'an empty visibleRect': [new Uint8Array(32), grey({ visibleRect: { x: 0, y: 0, width: 0, height: 4 } })],
    'a negative visibleRect': [new Uint8Array(32), grey({ visibleRect: { x: -1, y: 0, width: 4, height: 4 } })],
    'two planes in the layout': [
      new Uint8Array(64),
      grey({
        layout: [
          { offset: 0, stride: 8 },
          { offset: 32, stride: 8 },
        ],
      }),
    ],
    'a stride below a row': [new Uint8Array(32), grey({ layout: [{ offset: 0, stride: 7 }] })],
    'a layout beyond the bytes': [new Uint8Array(32), grey({ layout: [{ offset: 1, stride: 8 }] })],
    'a negative offset': [new Uint8Array(32), grey({ layout: [{ offset: -1, stride: 8 }] })],
    'a stride that is no number': [new Uint8Array(32), grey({ layout: [{ offset: 0, stride: Number.NaN }] })],
    'an unknown matrix': [new Uint8Array(32), grey({ colorSpace: { matrix: 'bt601' as 'bt709' } })],
  }
  for (const [what, [data, init]] of Object.entries(impossible)) {
    test(what, () => {
      const make = () => new VideoFrame(data as Uint8Array, init as VideoFrameBufferInit)
      assert.throws(make, (error) => error instanceof TypeError && error.message.length > 20)
    })
  }
})

test('VideoFrame: after everything here no slot is live and no frame is open', nothingIsHeld)

test('memory.stats(): numbers of one moment, JSON-able', () => {
  const stats = memory.stats()
  assert.deepEqual(JSON.parse(JSON.stringify(stats)), stats)
  for (const [name, value] of Object.entries(stats)) assert.ok(Number.isInteger(value) && value >= 0, name)
})
