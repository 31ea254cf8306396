/** W3C `VideoColorPrimaries`. */
export type VideoColorPrimaries = 'bt709' | 'bt470bg' | 'smpte170m' | 'bt2020' | 'smpte432'
/** W3C `VideoTransferCharacteristics`. */
export type VideoTransferCharacteristics = 'bt709' | 'smpte170m' | 'iec61966-2-1' | 'linear' | 'pq' | 'hlg'
/** W3C `VideoMatrixCoefficients`. */
export type VideoMatrixCoefficients = 'rgb' | 'bt709' | 'bt470bg' | 'smpte170m' | 'bt2020-ncl'

/** W3C `VideoColorSpaceInit`: what is null or left out is not said. */
export interface VideoColorSpaceInit {
  /** Colour of the primaries. */
  primaries?: VideoColorPrimaries | null
  /** How numbers become light. */
  transfer?: VideoTransferCharacteristics | null
  /** How luma and chroma are made of red, green and blue. */
  matrix?: VideoMatrixCoefficients | null
  /** Whether samples use all their values. */
  fullRange?: boolean | null
}

/** H.273's code point for "not said". */
const UNSAID = 2
const PRIMARIES: Record<VideoColorPrimaries, number> = { bt709: 1, bt470bg: 5, smpte170m: 6, bt2020: 9, smpte432: 12 }
const TRANSFERS: Record<VideoTransferCharacteristics, number> = {
  bt709: 1,
  smpte170m: 6,
  'iec61966-2-1': 13,
  linear: 8,
  pq: 16,
  hlg: 18,
}
const MATRICES: Record<VideoMatrixCoefficients, number> = {
  rgb: 0,
  bt709: 1,
  bt470bg: 5,
  smpte170m: 6,
  'bt2020-ncl': 9,
}

function nameOf<T extends string>(table: Record<T, number>, code: number): T | null {
  return (Object.keys(table) as T[]).find((name) => table[name] === code) ?? null
}

function codeOf<T extends string>(table: Record<T, number>, name: T | null | undefined, what: string): number {
  if (name === null || name === undefined) return UNSAID
  const code = table[name]
  if (code === undefined) {
    throw new TypeError(`expected one of ${Object.keys(table).join(', ')} for '${what}' but received '${String(name)}'`)
  }
  return code
}

/** W3C `VideoColorSpace`: how a frame's numbers become light. Each part may be null: not said. */
export class VideoColorSpace {
  /** Colour of the primaries. */
  readonly primaries: VideoColorPrimaries | null
  /** How numbers become light. */
  readonly transfer: VideoTransferCharacteristics | null
  /** How luma and chroma are made of red, green and blue. */
  readonly matrix: VideoMatrixCoefficients | null
  /** Whether samples use all their values. */
  readonly fullRange: boolean | null

  /** Throws a `TypeError` for a name that W3C does not have. */
  constructor(init: VideoColorSpaceInit = {}) {
    codesOf(init)
    this.primaries = init.primaries ?? null
    this.transfer = init.transfer ?? null
    this.matrix = init.matrix ?? null
    this.fullRange = init.fullRange ?? null
  }

  /** A plain object with the same parts. */
  toJSON(): VideoColorSpaceInit {
    return { primaries: this.primaries, transfer: this.transfer, matrix: this.matrix, fullRange: this.fullRange }
  }
}

/** Code points of a colour space as the native side takes them: primaries, transfer, matrix, range (−1: not said). */
export function codesOf(init: VideoColorSpaceInit): [number, number, number, number] {
  return [
    codeOf(PRIMARIES, init.primaries, 'primaries'),
    codeOf(TRANSFERS, init.transfer, 'transfer'),
    codeOf(MATRICES, init.matrix, 'matrix'),
    init.fullRange === null || init.fullRange === undefined ? -1 : Number(init.fullRange),
  ]
}

/** A colour space of code points. */
export function colorSpaceOf(codes: readonly number[]): VideoColorSpace {
  const [primaries = UNSAID, transfer = UNSAID, matrix = UNSAID, range = -1] = codes
  return new VideoColorSpace({
    primaries: nameOf(PRIMARIES, primaries),
    transfer: nameOf(TRANSFERS, transfer),
    matrix: nameOf(MATRICES, matrix),
    fullRange: range < 0 ? null : range === 1,
  })
}
