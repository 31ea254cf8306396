import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ExtraPixelFormat, listDevices, memory, openCapture, type VideoPixelFormat } from 'beamline'
import { cellOf, readCounter } from '../helpers/counter.js'
import { FORMATS, planeSize } from '../helpers/formats.js'
import { assertMode, copiesOf, copyOfLook, expectedMode, nothingIsHeld } from '../helpers/memory.js'

const PATTERNS = ['smpte', 'gradient', 'checkerboard', 'ball', 'noise', 'solid']
const SIZES = [
  [1, 1],
  [64, 24],
  [65, 49],
  [322, 182],
  [1280, 720],
] as const

test('patterns: the run is in the zero-copy mode that it was asked for', assertMode)

test('listDevices: each pattern, with the formats that it gives, and `kind` chooses', async () => {
  const devices = await listDevices({ kind: 'pattern' })
  assert.deepEqual(
    devices.map((d) => d.id),
    PATTERNS.map((name) => `pattern:${name}`),
  )
  for (const device of devices) {
    assert.deepEqual(
      device.formats.map((f) => f.pixelFormat),
      FORMATS.map((f) => f.slug),
    )
    assert.equal(device.bus, null)
    assert.ok(device.name.length > 3)
  }
  assert.deepEqual(await listDevices({ kind: 'camera' }), [])
  assert.ok((await listDevices()).length >= PATTERNS.length)
})

test('openCapture: takes a device of listDevices, its id, and a URL; they give the same picture', async () => {
  const [device] = await listDevices({ kind: 'pattern' })
  assert.ok(device)
  const wish = { width: 64, height: 32, live: false, frames: 1 }
  const pictures: string[] = []
  for (const capture of [
    await openCapture({ device, ...wish }),
    await openCapture({ device: device.id, ...wish }),
    await openCapture('pattern:smpte?width=64&height=32&live=false&frames=1'),
    await openCapture('pattern:smpte?width=8&live=true', wish),
  ]) {
    for await (const frame of capture) {
      const out = new Uint8Array(frame.allocationSize())
      await frame.copyTo(out)
      pictures.push(Buffer.from(out).toString('hex'))
      frame.close()
    }
    await capture.close()
  }
  assert.equal(pictures.length, 4)
  assert.equal(new Set(pictures).size, 1)
})

describe('patterns: every pattern in every format and size has its size, its planes and its counter', () => {
  for (const pattern of PATTERNS) {
    for (const { slug: format, planes: shapes } of FORMATS) {
      test(`${pattern} ${format}`, async () => {
        for (const [width, height] of SIZES) {
          const capture = await openCapture({
            device: `pattern:${pattern}`,
            format: format as VideoPixelFormat | ExtraPixelFormat,
            width,
            height,
            live: false,
            frames: 2,
            frameRate: 50,
          })
          const { colorSpace: _, ...agreed } = capture.format
          assert.deepEqual(agreed, {
            pixelFormat: format,
            encoded: null,
            width,
            height,
            frameRate: 50,
            rotation: 0,
            copiesPerFrame: 0,
          })
          let n = 0
          for await (const frame of capture) {
            assert.deepEqual([frame.pixelFormat, frame.displayWidth, frame.displayHeight], [format, width, height])
            assert.deepEqual([frame.timestamp, frame.duration], [n * 20_000, 20_000])
            assert.equal(frame.planes.length, shapes.length)
            for (const [i, shape] of shapes.entries()) {
              const { rowBytes, rows } = planeSize(shape, width, height)
              const { bytes, stride } = frame.planes[i] ?? { bytes: [], stride: 0 }
              assert.ok(stride >= rowBytes && bytes.length >= stride * (rows - 1) + rowBytes)
            }
            const expected = cellOf(width, height) ? { frame: n, timestamp: n * 20_000 } : undefined
            assert.deepEqual(readCounter(frame), expected, `${width}×${height}, frame ${n}`)
            frame.close()
            n++
          }
          assert.equal(n, 2)
          await capture.close()
        }
      })
    }
  }
})

test('pattern:solid: the colour that was asked for, exactly, in RGB', async () => {
  const capture = await openCapture({
    device: 'pattern:solid',
    color: '#1280fe',
    format: 'RGBA',
    width: 16,
    height: 16,
    live: false,
    frames: 1,
  })
  for await (const frame of capture) {
    assert.deepEqual([...(frame.planes[0]?.bytes.subarray(0, 4) ?? [])], [0x12, 0x80, 0xfe, 0xff])
    frame.close()
  }
  await capture.close()
})

test('patterns: `counter: false` leaves the picture alone', async () => {
  const capture = await openCapture('pattern:ball?width=640&height=360&live=false&frames=1&counter=false')
  for await (const frame of capture) {
    assert.equal(readCounter(frame), undefined)
    frame.close()
  }
  await capture.close()
})

test('a live pattern: timestamps are those of CLOCK_MONOTONIC, which is what `process.hrtime` tells', async () => {
  const now = () => Number(process.hrtime.bigint() / 1000n)
  const before = now()
  const capture = await openCapture('pattern:solid?width=64&height=32&frameRate=100&frames=3')
  for await (const frame of capture) {
    // hrtime is cut to whole µs, as timestamps are.
    assert.ok(before <= frame.timestamp && frame.timestamp <= now(), `${frame.timestamp} after ${before}`)
    frame.close()
  }
  await capture.close()
})

test('a live pattern: times rise by the clock at the rate, and the counter says what the frame says', async () => {
  const capture = await openCapture('pattern:smpte?width=128&height=64&frameRate=100&frames=30', { policy: 'block' })
  assert.equal(capture.live, true)
  const seen: Array<{ timestamp: number; counter: ReturnType<typeof readCounter> }> = []
  const begin = performance.now()
  for await (const frame of capture) {
    seen.push({ timestamp: frame.timestamp, counter: readCounter(frame) })
    frame.close()
  }
  const ms = performance.now() - begin
  await capture.close()
  assert.ok(seen.length >= 2)
  let last = -1
  for (const { timestamp, counter } of seen) {
    assert.equal(counter?.timestamp, timestamp)
    assert.ok((counter?.frame ?? -1) > last)
    last = counter?.frame ?? 0
  }
  const { captured, lost } = capture.stats()
  assert.equal(captured + lost, 30)
  assert.ok(ms > 200, `30 frames at 100/s in ${ms.toFixed(0)} ms`)
})

test('29.97 frames per second: the timestamp of frame n is n · 1001/30000 s, rounded', async () => {
  const capture = await openCapture({
    device: 'pattern:ball',
    width: 64,
    height: 32,
    frameRate: 29.97,
    live: false,
    frames: 100,
  })
  assert.equal(capture.format.frameRate, 30000 / 1001)
  let n = 0
  for await (const frame of capture) {
    assert.ok(Math.abs(frame.timestamp - (n * 1001e6) / 30000) <= 1, `frame ${n} at ${frame.timestamp}`)
    frame.close()
    n++
  }
  assert.equal(n, 100)
  await capture.close()
})

test(`pattern → JavaScript: ${copyOfLook} copies per frame in mode ${expectedMode}, one slot taken per frame`, async () => {
  const capture = await openCapture('pattern:smpte?width=640&height=360&live=false&frames=50')
  const before = memory.stats().allocations
  let touched = 0
  const copies = await copiesOf(async () => {
    for await (const frame of capture) {
      touched += frame.planes[0]?.bytes.length ? 1 : 0
      frame.close()
    }
  })
  await capture.close()
  const slots = memory.stats().allocations - before
  console.log(`# ${expectedMode}: ${copies} copies, ${slots} slots, ${touched} frames`)
  assert.equal(touched, 50)
  assert.equal(copies, 50 * copyOfLook)
  assert.equal(slots, 50)
})

test('patterns: after everything here no slot is live and no frame is open', nothingIsHeld)
