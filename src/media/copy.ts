import { BeamlineError, show } from '../errors.js'
import { engine, unwrap } from '../native/engine.js'
import { formatIndex, type FormatRow, formatRow, planeRows, rowBytes } from '../native/formats.js'
import { type FrameLayout, layoutOf, packedLayout } from './layout.js'
import type { PlaneLayout, Rect, VideoFrameCopyToOptions } from './types.js'
import { type AllowSharedBufferSource, bytesOf } from './video-frame.js'

/** Bytes that are copied in one go on the JavaScript thread (some 50 µs); more is cut into slices with the event loop between. */
const SLICE_BYTES = 2 << 20
/** Pixels up to which a conversion runs on the JavaScript thread; more runs on another. */
const INLINE_PIXELS = 1 << 20

/** What a `copyTo` does, checked. */
export interface CopySpec {
  rect: Rect
  formatIndex: number
  row: FormatRow
  layout: PlaneLayout[]
  bytes: number
  converts: boolean
  color: readonly number[] | undefined
}

/** sRGB's code points: BT.709 primaries, sRGB transfer, RGB, full range. */
const SRGB = [1, 13, 0, 1] as const

/** Checks the options of a copy. Throws what W3C's text says: `TypeError`, `RangeError`, `NotSupportedError`. */
export function copySpec(frame: FrameLayout, options: VideoFrameCopyToOptions): CopySpec {
  const rect = checkRect(frame, options.rect ?? frame.visible)
  let index = frame.formatIndex
  if (options.format !== undefined) {
    index = formatIndex(options.format)
    if (index < 0) throw new TypeError(`there is no pixel format '${String(options.format)}'`)
  }
  const row = formatRow(index)
  if (options.colorSpace !== undefined && options.colorSpace !== 'srgb') {
    throw new DOMException(`copyTo to the colour space '${options.colorSpace}' is not supported`, 'NotSupportedError')
  }
  const packed = packedLayout(row, rect.width, rect.height)
  const layout = options.layout ?? packed.planes
  const bytes = options.layout ? checkLayout(row, rect, options.layout) : packed.bytes
  const converts = index !== frame.formatIndex
  return { rect, formatIndex: index, row, layout, bytes, converts, color: converts && row.rgb ? SRGB : undefined }
}

function checkRect(frame: FrameLayout, rect: Rect): Rect {
  const { x, y, width, height } = rect
  const whole = [x, y, width, height].every((n) => Number.isInteger(n) && n >= 0)
  if (!whole || width === 0 || height === 0 || x + width > frame.codedWidth || y + height > frame.codedHeight) {
    throw new TypeError(
      `expected a rectangle inside ${frame.codedWidth}×${frame.codedHeight} but received ${JSON.stringify(rect)}`,
    )
  }
  for (const [subX, subY] of frame.row.planes) {
    if (x % subX !== 0 || y % subY !== 0) {
      throw new TypeError(
        `expected a rectangle that begins on a whole group of pixels of ${frame.row.slug} but received ${x},${y}`,
      )
    }
  }
  return { x, y, width, height }
}

function checkLayout(row: FormatRow, rect: Rect, layout: PlaneLayout[]): number {
  if (layout.length !== row.planes.length) {
    throw new TypeError(
      `expected ${row.planes.length} planes in 'layout' for ${row.slug} but received ${layout.length}`,
    )
  }
  let end = 0
  for (const [i, { offset, stride }] of layout.entries()) {
    const least = rowBytes(row, i, rect.width)
    if (!Number.isInteger(offset) || !Number.isInteger(stride) || offset < 0 || stride < least) {
      throw new TypeError(
        `expected a stride of at least ${least} for plane ${i} but received ${show(stride)} at ${show(offset)}`,
      )
    }
    end = Math.max(end, offset + stride * (planeRows(row, i, rect.height) - 1) + least)
  }
  return end
}

/** Carries a `copyTo` out. */
export async function copyFrame(
  id: number,
  frame: FrameLayout,
  destination: AllowSharedBufferSource,
  options: VideoFrameCopyToOptions,
): Promise<PlaneLayout[]> {
  options.signal?.throwIfAborted()
  const spec = copySpec(frame, options)
  const into = bytesOf(destination)
  if (into.byteLength < spec.bytes) {
    throw new RangeError(`expected a destination of at least ${spec.bytes} bytes but received ${into.byteLength}`)
  }
  const { native } = engine()
  const far = spec.converts && spec.rect.width * spec.rect.height > INLINE_PIXELS
  if (!far) {
    // The frame is read before this function first waits: it may be closed right after the call.
    if (spec.bytes <= SLICE_BYTES || spec.converts) {
      copyRows(id, spec, into, spec.rect)
      return spec.layout
    }
    const held = unwrap(native.derive(id, '{}')) as [number, number]
    return copySlices(held[0], spec, into, options.signal)
  }
  return copyConverted(id, spec, into, options.signal)
}

/** Converts on another thread, then copies the result in slices. */
async function copyConverted(
  id: number,
  spec: CopySpec,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<PlaneLayout[]> {
  const { native } = engine()
  const visible = unwrap(native.derive(id, JSON.stringify({ visible: rectParts(spec.rect) }))) as [number, number]
  let converted: [number, number]
  try {
    converted = await engine().request<[number, number]>(
      (request) => native.convert(request, visible[0], spec.formatIndex, spec.color ? [...spec.color] : []),
      { signal, dispose: ([late]) => engine().frames.closeFrame(late) },
    )
  } finally {
    engine().frames.closeFrame(visible[0])
  }
  const { visible: rect } = layoutOf(converted[1])
  return copySlices(converted[0], { ...spec, rect, converts: false, color: undefined }, into, signal)
}

/** Copies row bands with the event loop between, then lets go of the frame. */
async function copySlices(id: number, spec: CopySpec, into: Uint8Array, signal?: AbortSignal): Promise<PlaneLayout[]> {
  try {
    const step = Math.max(16, Math.floor(SLICE_BYTES / (spec.bytes / spec.rect.height)) & ~15)
    for (let row = 0; row < spec.rect.height; row += step) {
      if (row > 0) {
        await new Promise(setImmediate)
        signal?.throwIfAborted()
      }
      const rect = { ...spec.rect, y: spec.rect.y + row, height: Math.min(step, spec.rect.height - row) }
      copyRows(id, spec, into, rect)
    }
    return spec.layout
  } finally {
    engine().frames.closeFrame(id)
  }
}

function rectParts(rect: Rect): number[] {
  return [rect.x, rect.y, rect.width, rect.height]
}

/** Copies a band of the rectangle to where it belongs. */
function copyRows(id: number, spec: CopySpec, into: Uint8Array, rect: Rect): void {
  const down = rect.y - spec.rect.y
  const layout = spec.layout.map(({ offset, stride }, i) => {
    const subY = spec.row.planes[i]?.[1] ?? 1
    return [offset + (down / subY) * stride, stride]
  })
  const json = JSON.stringify({ format: spec.formatIndex, rect: rectParts(rect), color: spec.color, layout })
  try {
    unwrap(engine().native.copyTo(id, into, json))
  } catch (error) {
    if (error instanceof BeamlineError && error.code === 'NotSupported') {
      throw new DOMException(error.message, { name: 'NotSupportedError', cause: error })
    }
    if (error instanceof BeamlineError && error.code === 'InvalidConfig')
      throw new TypeError(error.message, { cause: error })
    throw error
  }
}
