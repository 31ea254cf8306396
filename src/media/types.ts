import type { VideoColorSpaceInit } from './color-space.js'

/** W3C `VideoPixelFormat`. */
export type VideoPixelFormat =
  | 'I420'
  | 'I420P10'
  | 'I420P12'
  | 'I420A'
  | 'I420AP10'
  | 'I420AP12'
  | 'I422'
  | 'I422P10'
  | 'I422P12'
  | 'I422A'
  | 'I422AP10'
  | 'I422AP12'
  | 'I444'
  | 'I444P10'
  | 'I444P12'
  | 'I444A'
  | 'I444AP10'
  | 'I444AP12'
  | 'NV12'
  | 'RGBA'
  | 'RGBX'
  | 'BGRA'
  | 'BGRX'

/** Formats that W3C has no name for, by our slug. */
export type ExtraPixelFormat = 'nv21' | 'yuyv' | 'uyvy' | 'rgb24' | 'bgr24' | 'gray8' | 'gray16' | 'p010'

/** A rectangle in pixels, from the top left (the parts of W3C's `DOMRectReadOnly` that matter here). */
export interface Rect {
  /** Columns to its left. */
  readonly x: number
  /** Rows above it. */
  readonly y: number
  /** Its width in pixels. */
  readonly width: number
  /** Its height in pixels. */
  readonly height: number
}

/** W3C `PlaneLayout`. */
export interface PlaneLayout {
  /** Bytes from the start of the buffer to the plane's first row. */
  offset: number
  /** Bytes from one row to the next. */
  stride: number
}

/** A plane of a frame, as it lies in shared memory. */
export interface FramePlane {
  /** The bytes, from the first row to the end of the last. They are to be read; after `close()` this array is empty. */
  readonly bytes: Uint8Array
  /** Bytes from one row to the next. */
  readonly stride: number
}

/** W3C `VideoFrameBufferInit`. */
export interface VideoFrameBufferInit {
  /** W3C's name, or our slug for formats that W3C does not have. */
  format: VideoPixelFormat | ExtraPixelFormat
  /** Pixels per row in memory. */
  codedWidth: number
  /** Rows in memory. */
  codedHeight: number
  /** When it is shown, in µs. */
  timestamp: number
  /** How long it is shown, in µs. */
  duration?: number
  /** Where the planes lie in the bytes; without: one behind the other, rows without padding. */
  layout?: PlaneLayout[]
  /** The part that is shown; without: all. */
  visibleRect?: Rect
  /** How far to turn it clockwise for showing, in degrees. */
  rotation?: number
  /** Whether to mirror it left to right after turning. */
  flip?: boolean
  /** How its numbers become light. */
  colorSpace?: VideoColorSpaceInit
}

/** W3C `VideoFrameInit`: what to say anew about an existing frame. */
export interface VideoFrameInit {
  /** When it is shown, in µs. */
  timestamp?: number
  /** How long it is shown, in µs. */
  duration?: number
  /** The part that is shown, inside the frame's coded size. */
  visibleRect?: Rect
  /** Turned further clockwise by so many degrees. */
  rotation?: number
  /** Mirrored once more. */
  flip?: boolean
}

/** W3C `VideoFrameCopyToOptions`. */
export interface VideoFrameCopyToOptions {
  /** The part to copy; without: the visible part. */
  rect?: Rect
  /** Where planes go in the destination; without: one behind the other, rows without padding. */
  layout?: PlaneLayout[]
  /** Converted to this format; without: as it is. */
  format?: VideoPixelFormat | ExtraPixelFormat
  /** For RGB formats: `srgb` (the only one that is supported). */
  colorSpace?: 'srgb' | 'display-p3'
  /** Ends the wait of a conversion that runs on another thread. */
  signal?: AbortSignal
}
