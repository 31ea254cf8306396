import { argumentError, BeamlineError, show } from '../errors.js'
import { engine, unwrap } from '../native/engine.js'
import { formatIndex, formatRow } from '../native/formats.js'
import { type OpenViews, openViews, type View } from '../native/zero-copy.js'
import { codesOf, type VideoColorSpace } from './color-space.js'
import { copyFrame, copySpec } from './copy.js'
import { batchOf, type BatchToken, holdBy, placeInDevelopment } from './frame-registry.js'
import { type FrameLayout, layoutOf } from './layout.js'
import type {
  FramePlane,
  PlaneLayout,
  Rect,
  VideoFrameBufferInit,
  VideoFrameCopyToOptions,
  VideoFrameInit,
  VideoPixelFormat,
} from './types.js'

/** Says that a constructor's arguments are ours: number, layout, timestamp, duration, batch. */
const ADOPT: unique symbol = Symbol('adopt')

/** What a DataCloneError says of a frame: V8 writes the function's text into it. */
const USE_A_TOKEN = (frame: VideoFrame) => frame.toToken()

/** How long a token is good, in ms. */
const TOKEN_MS = 5000

/** The largest timestamp that a number holds exactly, in µs. */
const TIMESTAMP_MAX = Number.MAX_SAFE_INTEGER

/** What `postMessage` can carry in a frame's place: see {@link VideoFrame.toToken}. */
export interface VideoFrameToken {
  /** Marks it, with the version of its form. */
  readonly beamlineFrame: 1
  /** Which frame; good once. */
  readonly token: number
}

/**
 * A picture in shared memory: the frame type of everything here, as W3C WebCodecs writes it, and a little more.
 *
 * Its bytes are to be read: a decoder may still predict from them, others may hold them ({@link VideoFrame.writable}). Whoever gets one
 * closes it: `close()`, or `using`.
 */
export class VideoFrame {
  /**
   * A property that cannot be cloned: `postMessage(frame)` and `structuredClone(frame)` throw a DataCloneError, as for any object that
   * cannot be sent. Without it they would give `{}`. It is enumerable because only such properties with names are looked at: a hidden one,
   * a symbol or one of the prototype is passed over. (Marking each frame as Node 22 can do costs 30 ns a frame, this nothing.)
   *
   * @internal
   */
  readonly notCloneable = USE_A_TOKEN
  #id: number
  #layout: FrameLayout
  #timestamp: number
  #duration: number
  #batch: BatchToken | undefined
  #views: OpenViews | undefined = undefined
  #planes: readonly FramePlane[] | undefined = undefined
  /** Whether its owner may write into `planes`. */
  #writing = false

  /**
   * A frame from bytes, which are copied into a slot of shared memory, or another frame over the memory of an existing one.
   *
   * Throws a `TypeError` for what cannot be right, an `InvalidStateError` for a closed frame.
   */
  constructor(data: AllowSharedBufferSource, init: VideoFrameBufferInit)
  /** Another frame over the same memory, with other words about it where `init` has any. */
  constructor(frame: VideoFrame, init?: VideoFrameInit)
  /** @internal */
  constructor(adopt: typeof ADOPT, id: number, layout: number, timestamp: number, duration: number, batch?: BatchToken)
  constructor(
    from: AllowSharedBufferSource | VideoFrame | typeof ADOPT,
    second?: VideoFrameBufferInit | VideoFrameInit | number,
    layout?: number,
    timestamp?: number,
    duration?: number,
    batch?: BatchToken,
  ) {
    if (from === ADOPT) {
      this.#id = second as number
      this.#layout = layoutOf(layout as number)
      this.#timestamp = timestamp as number
      this.#duration = duration as number
      this.#batch = batch
      return
    }
    const made =
      from instanceof VideoFrame
        ? derived(from, from.#alive(), (second ?? {}) as VideoFrameInit)
        : fromBytes(from, second as VideoFrameBufferInit)
    this.#id = made.id
    this.#layout = layoutOf(made.layout)
    this.#timestamp = made.timestamp
    this.#duration = made.duration
    this.#batch = batchOf([made.id], placeInDevelopment())
  }

  /** W3C's name of the format; null when W3C has none, or the frame is closed. */
  get format(): VideoPixelFormat | null {
    return this.#id ? this.#layout.format : null
  }

  /** Our name of the format: every format has one (`i420`, `yuyv`, `gray8`); null when the frame is closed. */
  get pixelFormat(): string | null {
    return this.#id ? this.#layout.row.slug : null
  }

  /** Pixels per row in memory; 0 when closed. */
  get codedWidth(): number {
    return this.#id ? this.#layout.codedWidth : 0
  }

  /** Rows in memory; 0 when closed. */
  get codedHeight(): number {
    return this.#id ? this.#layout.codedHeight : 0
  }

  /** The whole picture in memory; null when closed. */
  get codedRect(): Rect | null {
    return this.#id ? { x: 0, y: 0, width: this.codedWidth, height: this.codedHeight } : null
  }

  /** The part that is shown; null when closed. */
  get visibleRect(): Rect | null {
    return this.#id ? this.#layout.visible : null
  }

  /** How far to turn it clockwise for showing: 0, 90, 180 or 270 degrees. */
  get rotation(): 0 | 90 | 180 | 270 {
    return this.#id ? this.#layout.rotation : 0
  }

  /** Whether to mirror it left to right after turning. */
  get flip(): boolean {
    return this.#id ? this.#layout.flip : false
  }

  /**
   * Which reader of a share has handed it over ({@link Capture.handOver}): its number among `share.clients`. Null for frames of the source
   * itself, and when closed.
   */
  get handedBy(): number | null {
    return this.#id ? this.#layout.handedBy : null
  }

  /**
   * Width when shown, in square pixels: of the visible part, turned; 0 when closed. Where pixels are not square (anamorphic video), the
   * longer side is the larger for it: 720×576 with pixels of 16:11 is shown as 1047×576.
   */
  get displayWidth(): number {
    return this.#id ? this.#layout.displayWidth : 0
  }

  /** Height when shown, in square pixels: of the visible part, turned; 0 when closed. */
  get displayHeight(): number {
    return this.#id ? this.#layout.displayHeight : 0
  }

  /** When it is shown, in µs. */
  get timestamp(): number {
    return this.#timestamp
  }

  /** How long it is shown, in µs; null when nobody has said. */
  get duration(): number | null {
    return Number.isNaN(this.#duration) ? null : this.#duration
  }

  /** How its numbers become light. */
  get colorSpace(): VideoColorSpace {
    return this.#layout.color
  }

  /**
   * The planes as they lie in shared memory: views without a copy (but see `runtime.zeroCopyMode`). Made at the first access; empty
   * after `close()`. They show the coded size. To be read: what is stored into a frame of another process is seen by nobody else, found by
   * samples and undone; with `BEAMLINE_DEV=1` always, and warned of. See {@link VideoFrame.writable}. Throws an `InvalidStateError` when
   * closed.
   */
  get planes(): readonly FramePlane[] {
    return (this.#planes ??= this.#open())
  }

  #open(): readonly FramePlane[] {
    const id = this.#alive()
    const { planes, buffers } = this.#layout
    const views = (this.#views = openViews(id, buffers))
    for (let i = 0; i < buffers.length; i++) holdBy(views.at(i).buffer, this.#batch)
    const shown = new Array<FramePlane>(planes.length)
    // Without closures and destructuring: this runs once per frame.
    for (let i = 0; i < planes.length; i++) {
      const plane = planes[i] as FrameLayout['planes'][number]
      const view = views.at(plane[0])
      shown[i] = { bytes: new Uint8Array(view.buffer, view.offset + plane[1], plane[3]), stride: plane[2] }
    }
    return shown
  }

  #alive(): number {
    if (!this.#id) throw new DOMException('the VideoFrame is closed', 'InvalidStateError')
    if (this.#writing && this.#views?.copied) this.#writeBack(this.#views.at(0))
    return this.#id
  }

  #writeBack(view: View): void {
    const [, bytes = 0] = this.#layout.buffers[0] ?? []
    this.#id = engine().native.writeBack(this.#id, new Uint8Array(view.buffer, view.offset, bytes))
    this.#forget()
    this.#batch = batchOf([this.#id], placeInDevelopment())
  }

  /** Bytes that {@link copyTo} with the same options writes. */
  allocationSize(options: VideoFrameCopyToOptions = {}): number {
    this.#alive()
    return copySpec(this.#layout, options).bytes
  }

  /**
   * Copies the pixels into `destination`, converted where `options.format` says so, and gives where the planes lie in it. Counted in
   * `memory.stats().copies`. Large conversions run on another thread, large copies in slices.
   *
   * Rejects with `InvalidStateError` when closed, `TypeError` or `RangeError` for what does not fit.
   */
  async copyTo(destination: AllowSharedBufferSource, options: VideoFrameCopyToOptions = {}): Promise<PlaneLayout[]> {
    return copyFrame(this.#alive(), this.#layout, destination, options)
  }

  /**
   * A frame that may be written: itself when nobody else holds its memory, else one over a copy (counted), and this one is closed. Go on
   * with what is returned, and take its `planes` anew: views from before are empty in both cases. (A filter that shares its result needs no
   * copy: {@link SharedVideoTrack.frame}.)
   *
   * Throws an `InvalidStateError` when closed.
   */
  writable(): VideoFrame {
    const id = this.#alive()
    const { native } = engine()
    // Our own views would be another holder.
    this.#detach()
    const [next, layout] = unwrap(native.writable(id)) as [number, number]
    if (next === id) {
      this.#writing = true
      return this
    }
    this.#id = 0
    this.#forget()
    const frame = new VideoFrame(
      ADOPT,
      next,
      layout,
      this.#timestamp,
      this.#duration,
      batchOf([next], placeInDevelopment()),
    )
    frame.#writing = true
    return frame
  }

  #detach(): void {
    if (!this.#views) return
    this.#views.close(0)
    this.#views = undefined
    this.#planes = undefined
  }

  /** Another frame over the same memory, to be closed for itself. Throws an `InvalidStateError` when closed. */
  clone(): VideoFrame {
    return new VideoFrame(this)
  }

  /** Lets go of the memory: views of it are empty from now on. Closing twice does nothing. */
  close(): void {
    const id = this.#id
    if (id === 0) return
    this.#id = 0
    this.#forget()
    const views = this.#views
    if (views) {
      this.#views = undefined
      this.#planes = undefined
      views.close(id)
    } else {
      engine().frames.closeFrame(id)
    }
  }

  /** The net need not catch this one any more. */
  #forget(): void {
    if (!this.#batch) return
    this.#batch.open--
    this.#batch = undefined
  }

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * A plain object to post to another worker_thread, which makes a frame over the same memory of it ({@link VideoFrame.fromToken}).
   * Good once, for 5 s or until this worker ends; what nobody redeems is released and counted. This frame stays open. (A frame itself
   * cannot be posted: `postMessage(frame)` and `structuredClone(frame)` throw a `DataCloneError`.)
   */
  toToken(): VideoFrameToken {
    const { native } = engine()
    const token = unwrap(native.putToken(this.#alive()))
    setTimeout(() => native.expireToken(token), TOKEN_MS).unref()
    return { beamlineFrame: 1, token }
  }

  /** The frame that a token stands for. Throws `BeamlineError` `token-void` when it is not good (any more). */
  static fromToken(token: VideoFrameToken): VideoFrame {
    if (token?.beamlineFrame !== 1 || typeof token.token !== 'number')
      throw argumentError('token', 'what toToken() gave', token)
    const [id, layout, timestamp, duration] = unwrap(engine().native.takeToken(token.token)) as [
      number,
      number,
      number,
      number,
    ]
    return new VideoFrame(ADOPT, id, layout, timestamp, duration, batchOf([id], placeInDevelopment()))
  }

  /** @internal The native number; 0 when closed. */
  static numberOf(frame: VideoFrame): number {
    if (!(frame instanceof VideoFrame)) throw argumentError('frame', 'a VideoFrame', frame)
    return frame.#id === 0 ? 0 : frame.#alive()
  }

  /** @internal A frame to be drawn into: nobody else has seen it. */
  static adoptForWriting(id: number, layout: number, timestamp: number, duration: number): VideoFrame {
    const frame = new VideoFrame(ADOPT, id, layout, timestamp, duration, batchOf([id], placeInDevelopment()))
    frame.#writing = true
    return frame
  }

  /** @internal Ends the writing: what was drawn is in the slot, views that it was drawn through are empty. The number; 0 when closed. */
  static drawn(frame: VideoFrame): number {
    const id = VideoFrame.numberOf(frame)
    if (id !== 0 && frame.#writing) {
      frame.#detach()
      frame.#writing = false
    }
    return id
  }

  /** @internal A frame that the native side has handed over. */
  static adopt(id: number, layout: number, timestamp: number, duration: number, batch?: BatchToken): VideoFrame {
    return new VideoFrame(ADOPT, id, layout, timestamp, duration, batch)
  }

  /** The class name, for `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'VideoFrame'
  }
}

/** W3C `AllowSharedBufferSource`: bytes in an array buffer, shared or not, or a view of one. */
export type AllowSharedBufferSource = ArrayBufferLike | ArrayBufferView

interface Made {
  id: number
  layout: number
  timestamp: number
  duration: number
}

/** The bytes of whatever holds bytes. */
export function bytesOf(source: AllowSharedBufferSource): Uint8Array {
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
  if (source instanceof ArrayBuffer || source instanceof SharedArrayBuffer) return new Uint8Array(source)
  throw new TypeError(`expected an ArrayBuffer or a view of one but received ${show(source)}`)
}

function microseconds(name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || Math.abs(value) > TIMESTAMP_MAX) {
    throw new TypeError(`expected a whole number of microseconds for '${name}' but received ${show(value)}`)
  }
  return Math.trunc(value)
}

function rectOf(rect: Rect): [number, number, number, number] {
  const parts: [number, number, number, number] = [rect.x, rect.y, rect.width, rect.height]
  if (parts.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new TypeError(`expected whole numbers from 0 on for 'visibleRect' but received ${JSON.stringify(rect)}`)
  }
  return parts
}

/** W3C text asks for a TypeError where the native side finds an argument that cannot be right. */
function typeErrors<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof BeamlineError && error.code === 'InvalidConfig') {
      throw new TypeError(error.message, { cause: error })
    }
    throw error
  }
}

function fromBytes(data: AllowSharedBufferSource, init: VideoFrameBufferInit): Made {
  if (typeof init !== 'object' || init === null)
    throw new TypeError(`expected a VideoFrameBufferInit but received ${show(init)}`)
  const format = formatIndex(init.format)
  if (format < 0) throw new TypeError(`there is no pixel format '${String(init.format)}'`)
  for (const side of ['codedWidth', 'codedHeight'] as const) {
    if (!Number.isInteger(init[side]) || init[side] <= 0 || init[side] > 0xffffffff) {
      throw new TypeError(`expected a whole number above 0 for '${side}' but received ${show(init[side])}`)
    }
  }
  const timestamp = microseconds('timestamp', init.timestamp)
  const duration = init.duration === undefined ? Number.NaN : microseconds('duration', init.duration)
  const rgb = formatRow(format).rgb
  const spec = {
    format,
    coded: [init.codedWidth, init.codedHeight],
    layout: (init.layout ?? []).map((p) => [p.offset, p.stride]),
    visible: init.visibleRect && rectOf(init.visibleRect),
    rotation: init.rotation,
    flip: init.flip,
    timestamp,
    duration: init.duration === undefined ? undefined : duration,
    color: init.colorSpace ? codesOf(init.colorSpace) : rgb ? [1, 13, 0, 1] : undefined,
  }
  const [id, layout] = typeErrors(() => unwrap(engine().native.frameFrom(bytesOf(data), JSON.stringify(spec)))) as [
    number,
    number,
  ]
  return { id, layout, timestamp, duration }
}

function derived(frame: VideoFrame, id: number, init: VideoFrameInit): Made {
  const timestamp = init.timestamp === undefined ? frame.timestamp : microseconds('timestamp', init.timestamp)
  const own = frame.duration ?? Number.NaN
  const duration = init.duration === undefined ? own : microseconds('duration', init.duration)
  const spec = {
    visible: init.visibleRect && rectOf(init.visibleRect),
    rotation: init.rotation === undefined ? undefined : frame.rotation + init.rotation,
    flip: init.flip === undefined ? undefined : frame.flip !== init.flip,
    timestamp: init.timestamp === undefined ? undefined : timestamp,
    duration: init.duration === undefined ? undefined : duration,
  }
  const [next, layout] = typeErrors(() => unwrap(engine().native.derive(id, JSON.stringify(spec)))) as [number, number]
  return { id: next, layout, timestamp, duration }
}
