// Conversions against the formula in float64. Chroma is the nearest sample one way, the mean the other.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { VideoFrame, type VideoPixelFormat } from 'beamline'
import { FORMATS, noise, packedBytes } from '../helpers/formats.js'

const W = 34
const H = 22
type Rgb = [number, number, number]

/** Weights of red and blue in luma. */
const WEIGHTS = { bt709: [0.2126, 0.0722], smpte170m: [0.299, 0.114] } as const
type Matrix = keyof typeof WEIGHTS

const clamp = (v: number) => Math.min(255, Math.max(0, v))

function toRgb(matrix: Matrix, full: boolean, y: number, u: number, v: number): Rgb {
  const [kr, kb] = WEIGHTS[matrix]
  const luma = full ? y : ((y - 16) * 255) / 219
  const chroma = full ? 1 : 255 / 224
  const cb = (u - 128) * chroma
  const cr = (v - 128) * chroma
  const r = luma + 2 * (1 - kr) * cr
  const b = luma + 2 * (1 - kb) * cb
  return [r, (luma - kr * r - kb * b) / (1 - kr - kb), b].map(clamp) as Rgb
}

function fromRgb(matrix: Matrix, full: boolean, [r, g, b]: Rgb): Rgb {
  const [kr, kb] = WEIGHTS[matrix]
  const luma = kr * r + (1 - kr - kb) * g + kb * b
  const cb = (b - luma) / (2 * (1 - kb))
  const cr = (r - luma) / (2 * (1 - kr))
  return full
    ? ([luma, cb + 128, cr + 128].map(clamp) as Rgb)
    : [16 + (luma * 219) / 255, 128 + (cb * 224) / 255, 128 + (cr * 224) / 255]
}

/** Luma and both chroma of a pixel. */
function sample(slug: string, bytes: Uint8Array, x: number, y: number): Rgb {
  const at = (i: number) => bytes[i] ?? 0
  const luma = at(y * W + x)
  const [cw, ch] = slug === 'i444' ? [W, H] : slug === 'i422' ? [W / 2, H] : [W / 2, H / 2]
  const c = Math.floor((y * ch) / H) * cw + Math.floor((x * cw) / W)
  switch (slug) {
    case 'nv12':
      return [luma, at(W * H + 2 * c), at(W * H + 2 * c + 1)]
    case 'nv21':
      return [luma, at(W * H + 2 * c + 1), at(W * H + 2 * c)]
    case 'yuyv':
    case 'uyvy': {
      const pair = y * W * 2 + (x >> 1) * 4
      const shift = slug === 'uyvy' ? 1 : 0
      return [at(pair + 2 * (x & 1) + shift), at(pair + 1 - shift), at(pair + 3 - shift)]
    }
    case 'gray8':
      return [luma, 128, 128]
    default:
      return [luma, at(W * H + c), at(W * H + cw * ch + c)]
  }
}

/** The largest difference of two runs of numbers. */
const worst = (pairs: Iterable<readonly [number, number]>) => {
  let most = 0
  for (const [a, b] of pairs) most = Math.max(most, Math.abs(a - b))
  return most
}

const shape = (slug: string) => FORMATS.find((f) => f.slug === slug) as (typeof FORMATS)[number]

async function converted(from: string, to: VideoPixelFormat, bytes: Uint8Array, matrix: Matrix, fullRange: boolean) {
  using frame = new VideoFrame(bytes, {
    format: from as 'nv21',
    codedWidth: W,
    codedHeight: H,
    timestamp: 0,
    colorSpace: { matrix, fullRange },
  })
  const out = new Uint8Array(frame.allocationSize({ format: to }))
  await frame.copyTo(out, { format: to })
  return out
}

describe('copyTo to RGBA and BGRA: within 1 of the formula in float64, for each matrix and range', () => {
  for (const from of ['i420', 'i422', 'i444', 'nv12', 'nv21', 'yuyv', 'uyvy', 'gray8']) {
    test(from, async () => {
      const bytes = noise(packedBytes(shape(from), W, H), 11)
      for (const matrix of ['bt709', 'smpte170m'] as const) {
        for (const full of [false, true]) {
          const rgba = await converted(from, 'RGBA', bytes, matrix, full)
          const bgra = await converted(from, 'BGRA', bytes, matrix, full)
          const error = worst(
            (function* () {
              for (let i = 0; i < W * H; i++) {
                const exact = toRgb(matrix, full, ...sample(from, bytes, i % W, Math.floor(i / W)))
                for (let c = 0; c < 3; c++) {
                  yield [rgba[4 * i + c] ?? -1, exact[c] ?? -1] as const
                  yield [bgra[4 * i + 2 - c] ?? -1, exact[c] ?? -1] as const
                }
                yield [rgba[4 * i + 3] ?? -1, 255] as const
              }
            })(),
          )
          assert.ok(error <= 1, `${matrix}, ${full ? 'full' : 'limited'} range: off by ${error.toFixed(3)}`)
        }
      }
    })
  }
})

describe('copyTo among YUV formats: luma untouched, chroma within 1 of the mean', () => {
  for (const from of ['i422', 'i444', 'nv12', 'nv21', 'yuyv', 'uyvy']) {
    test(`${from} → I420`, async () => {
      const bytes = noise(packedBytes(shape(from), W, H), 5)
      const out = await converted(from, 'I420', bytes, 'bt709', false)
      const mean = (x: number, y: number, part: 1 | 2) => {
        let sum = 0
        for (const [dx, dy] of [
          [0, 0],
          [1, 0],
          [0, 1],
          [1, 1],
        ] as const)
          sum += sample(from, bytes, 2 * x + dx, 2 * y + dy)[part]
        return sum / 4
      }
      for (let i = 0; i < W * H; i++) assert.equal(out[i], sample(from, bytes, i % W, Math.floor(i / W))[0])
      const [cw, ch] = [W / 2, H / 2]
      const error = worst(
        (function* () {
          for (let i = 0; i < cw * ch; i++) {
            yield [out[W * H + i] ?? -1, mean(i % cw, Math.floor(i / cw), 1)] as const
            yield [out[W * H + cw * ch + i] ?? -1, mean(i % cw, Math.floor(i / cw), 2)] as const
          }
        })(),
      )
      assert.ok(error <= 1, `chroma off by ${error}`)
    })
  }
})

test('copyTo RGBA → I444: within 1 of the formula: the range of the frame (full), and BT.601 where no matrix is said', async () => {
  const bytes = noise(W * H * 4, 9)
  using rgba = new VideoFrame(bytes, { format: 'RGBA', codedWidth: W, codedHeight: H, timestamp: 0 })
  const i444 = new Uint8Array(W * H * 3)
  await rgba.copyTo(i444, { format: 'I444' })
  const error = worst(
    (function* () {
      for (let i = 0; i < W * H; i++) {
        const exact = fromRgb('smpte170m', true, [bytes[4 * i] ?? 0, bytes[4 * i + 1] ?? 0, bytes[4 * i + 2] ?? 0])
        for (let c = 0; c < 3; c++) yield [i444[c * W * H + i] ?? -1, exact[c] ?? -1] as const
      }
    })(),
  )
  assert.ok(error <= 1, `off by ${error.toFixed(3)}`)
})

test('copyTo RGB24 and BGRA to RGBA: only the places of the bytes change', async () => {
  const rgb = noise(W * H * 3, 21)
  const bgra = new Uint8Array(W * H * 4)
  for (let i = 0; i < W * H; i++) bgra.set([rgb[3 * i + 2] ?? 0, rgb[3 * i + 1] ?? 0, rgb[3 * i] ?? 0, 255], 4 * i)
  const expected = new Uint8Array(W * H * 4)
  for (let i = 0; i < W * H; i++) expected.set([rgb[3 * i] ?? 0, rgb[3 * i + 1] ?? 0, rgb[3 * i + 2] ?? 0, 255], 4 * i)
  for (const [format, bytes] of [
    ['rgb24', rgb],
    ['BGRA', bgra],
  ] as const) {
    using frame = new VideoFrame(bytes, { format, codedWidth: W, codedHeight: H, timestamp: 0 })
    const out = new Uint8Array(W * H * 4)
    await frame.copyTo(out, { format: 'RGBA' })
    assert.deepEqual(out, expected, format)
  }
})
