import { engine } from '../native/engine.js'
import { formatRow, type FormatRow } from '../native/formats.js'
import { colorSpaceOf, type VideoColorSpace } from './color-space.js'
import type { PlaneLayout, Rect, VideoPixelFormat } from './types.js'

/** Everything about a frame that is the same for the next one of its stream. */
export interface FrameLayout {
  readonly index: number
  readonly row: FormatRow
  readonly formatIndex: number
  readonly format: VideoPixelFormat | null
  readonly codedWidth: number
  readonly codedHeight: number
  readonly visible: Rect
  /** Size when shown: in square pixels, turned. */
  readonly displayWidth: number
  readonly displayHeight: number
  readonly rotation: 0 | 90 | 180 | 270
  readonly flip: boolean
  readonly color: VideoColorSpace
  /** Per plane: buffer, offset in it, stride, bytes. */
  readonly planes: ReadonlyArray<readonly [buffer: number, offset: number, stride: number, bytes: number]>
  /** Per buffer: offset in its slot, bytes, bytes of the slot. */
  readonly buffers: ReadonlyArray<readonly number[]>
  /** Which client of a share has handed it over. */
  readonly handedBy: number | null
}

interface NativeLayout {
  format: number
  coded: { width: number; height: number }
  visible: { x: number; y: number; width: number; height: number }
  display: { width: number; height: number }
  rotation: 0 | 90 | 180 | 270
  flip: boolean
  color: number[]
  planes: Array<[number, number, number, number]>
  buffers: number[][]
  handedBy: number | null
}

/** Layouts by number, oldest first; frames hold theirs, so old ones may go. */
const known = new Map<number, FrameLayout>()
const KNOWN_MAX = 256
let newest: FrameLayout | undefined

/** A layout by its number: asked once, then shared by all frames that have it. */
export function layoutOf(index: number): FrameLayout {
  // A stream's frames mostly look like the one before.
  if (newest?.index === index) return newest
  let layout = known.get(index)
  if (!layout) {
    layout = ask(index)
    known.set(index, layout)
    if (known.size > KNOWN_MAX) known.delete(known.keys().next().value as number)
  }
  return (newest = layout)
}

function ask(index: number): FrameLayout {
  const native = JSON.parse(engine().native.layout(index)) as NativeLayout
  const row = formatRow(native.format)
  return {
    index,
    row,
    formatIndex: native.format,
    format: row.w3c as VideoPixelFormat | null,
    codedWidth: native.coded.width,
    codedHeight: native.coded.height,
    visible: Object.freeze({ ...native.visible }),
    displayWidth: native.display.width,
    displayHeight: native.display.height,
    rotation: native.rotation,
    flip: native.flip,
    color: Object.freeze(colorSpaceOf(native.color)),
    planes: native.planes,
    buffers: native.buffers,
    handedBy: native.handedBy,
  }
}

/** Where planes lie in a buffer without padding, for a rectangle of that size. */
export function packedLayout(row: FormatRow, width: number, height: number): { planes: PlaneLayout[]; bytes: number } {
  let bytes = 0
  const planes = row.planes.map(([subX, subY, group]) => {
    const stride = Math.ceil(width / subX) * group
    const plane = { offset: bytes, stride }
    bytes += stride * Math.ceil(height / subY)
    return plane
  })
  return { planes, bytes }
}
