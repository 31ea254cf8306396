import { engine } from './engine.js'

/** A pixel format as the native table has it. */
export interface FormatRow {
  /** Our name. */
  slug: string
  /** W3C's name, or null. */
  w3c: string | null
  /** Whether there is alpha. */
  alpha: boolean
  /** Whether samples are red, green and blue. */
  rgb: boolean
  /** Per plane: pixels per group in x, rows per row, bytes per group. */
  planes: ReadonlyArray<readonly [subX: number, subY: number, bytes: number]>
}

/** What the native side says of itself. */
export interface NativeInfo {
  version: string
  ffmpeg: { version: string; license: string; configuration: string }
  h264Encoder: string | null
  containers: string[]
  pixelFormats: FormatRow[]
  encoderDefaults: Array<{
    latencyMode: 'quality' | 'realtime'
    preset: string
    tune: string | null
    crf: number
    keyIntervalSeconds: number
    bFrames: number | null
  }>
}

let info: NativeInfo | undefined

/** Versions, formats, defaults: asked once. */
export function nativeInfo(): NativeInfo {
  return (info ??= JSON.parse(engine().native.info()) as NativeInfo)
}

/** The number of a format by W3C's name or our slug; −1 when there is none. */
export function formatIndex(name: string): number {
  return nativeInfo().pixelFormats.findIndex((f) => f.slug === name || f.w3c === name)
}

/** The row of a format by its number. */
export function formatRow(index: number): FormatRow {
  const row = nativeInfo().pixelFormats[index]
  if (!row) throw new RangeError(`there is no pixel format number ${index}`)
  return row
}

/** Bytes of a row of a plane for a picture of that width. */
export function rowBytes(row: FormatRow, plane: number, width: number): number {
  const [subX, , bytes] = row.planes[plane] as FormatRow['planes'][number]
  return Math.ceil(width / subX) * bytes
}

/** Rows of a plane for a picture of that height. */
export function planeRows(row: FormatRow, plane: number, height: number): number {
  return Math.ceil(height / (row.planes[plane] as FormatRow['planes'][number])[1])
}
