// Pixel formats as the W3C's text and our own page have them, written down once more: the package is held against it.

/** Per plane: pixels per group in x, rows per row, bytes per group. */
export type PlaneShape = readonly [subX: number, subY: number, bytes: number]

/** A format. */
export interface Format {
  name: string
  slug: string
  w3c: boolean
  planes: readonly PlaneShape[]
}

const full = (bytes: number): PlaneShape => [1, 1, bytes]
const CHROMA: Record<string, readonly [number, number]> = { I420: [2, 2], I422: [2, 1], I444: [1, 1] }

function planar(base: string, bits: '' | 'P10' | 'P12', alpha: boolean): Format {
  const bytes = bits ? 2 : 1
  const [subX = 1, subY = 1] = CHROMA[base] ?? []
  const chroma: PlaneShape = [subX, subY, bytes]
  const name = `${base}${alpha ? 'A' : ''}${bits}`
  const planes = [full(bytes), chroma, chroma, ...(alpha ? [full(bytes)] : [])]
  return { name, slug: name.toLowerCase(), w3c: true, planes }
}

const BITS = ['', 'P10', 'P12'] as const
const packed = (name: string): Format => ({ name, slug: name.toLowerCase(), w3c: true, planes: [full(4)] })
const own = (name: string, planes: readonly PlaneShape[]): Format => ({ name, slug: name, w3c: false, planes })

/** All formats of this version. */
export const FORMATS: readonly Format[] = [
  ...['I420', 'I422', 'I444'].flatMap((base) =>
    [false, true].flatMap((a) => BITS.map((bits) => planar(base, bits, a))),
  ),
  { name: 'NV12', slug: 'nv12', w3c: true, planes: [full(1), [2, 2, 2]] },
  ...['RGBA', 'RGBX', 'BGRA', 'BGRX'].map(packed),
  own('nv21', [full(1), [2, 2, 2]]),
  own('yuyv', [[2, 1, 4]]),
  own('uyvy', [[2, 1, 4]]),
  own('rgb24', [full(3)]),
  own('bgr24', [full(3)]),
  own('gray8', [full(1)]),
  own('gray16', [full(2)]),
  own('p010', [full(2), [2, 2, 4]]),
]

/** A plane of a picture of that size without padding. */
export function planeSize([subX, subY, bytes]: PlaneShape, width: number, height: number) {
  return { rowBytes: Math.ceil(width / subX) * bytes, rows: Math.ceil(height / subY) }
}

/** Bytes of a picture without padding. */
export function packedBytes(format: Format, width: number, height: number): number {
  return format.planes.reduce((sum, shape) => {
    const { rowBytes, rows } = planeSize(shape, width, height)
    return sum + rowBytes * rows
  }, 0)
}

/** Bytes that are the same in every run and look like noise. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed >>> 0 || 1
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    bytes[i] = state & 0xff
  }
  return bytes
}
