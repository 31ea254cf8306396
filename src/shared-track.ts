import { argumentError } from './errors.js'
import { DEFAULT_TIMEOUT_MS } from './frame-stream.js'
import { codesOf, type VideoColorSpaceInit } from './media/color-space.js'
import type { ExtraPixelFormat, VideoPixelFormat } from './media/types.js'
import { VideoFrame } from './media/video-frame.js'
import { engine, unwrap } from './native/engine.js'
import { formatIndex, formatRow } from './native/formats.js'
import { checkFlag, checkOptions, checkSignal, checkTimeout, checkWhole } from './options.js'
import type { WriteOptions } from './output-tracks.js'

/** A picture to be drawn for readers: see {@link SharedVideoTrack.frame}. */
export interface SharedFrameInit {
  /** When it is shown, in µs. */
  timestamp: number
  /** How long it is shown, in µs; null when nobody has said. */
  duration?: number | null
  /** W3C's name, or our slug for formats that W3C does not have. Default: `I420`. */
  format?: VideoPixelFormat | ExtraPixelFormat
  /** Width in pixels. Default: the track's, or that of the frame written last. */
  width?: number
  /** Height in pixels. Default: the track's, or that of the frame written last. */
  height?: number
  /** How its numbers become light. */
  colorSpace?: VideoColorSpaceInit
  /** How far to turn it clockwise for showing, in degrees. */
  rotation?: 0 | 90 | 180 | 270
  /** Whether to mirror it left to right after turning. */
  flip?: boolean
  /** How long to wait for memory while readers hold all that the output may have, in ms. Default: 5000. */
  timeoutMs?: number
  /** Ends the wait. */
  signal?: AbortSignal
}

/** The pictures of a shared output. */
export class SharedVideoTrack {
  readonly #id: number
  /** @internal Not forgotten as long as somebody has its track. */
  readonly output: object
  /** The last write that has to be copied; later ones go behind it. */
  #tail: Promise<unknown> | undefined
  /** What writes are told once nothing is taken any more. */
  #over: { reason: unknown } | undefined
  /** What those are told who wait when the output is given up. */
  #given: { reason: unknown } | undefined

  /** @internal */
  constructor(id: number, output: object) {
    this.#id = id
    this.output = output
  }

  /**
   * Shows a frame to readers, at once: nobody is waited for, who has no room is served by his own policy. Readers see it in the memory
   * in which it lies, 0 copies: a frame of {@link frame}, of a capture, of an input. What JavaScript has made from bytes, what
   * `writable()` had to copy and what another process shares lies beside pictures of other sources or belongs to somebody else: that is
   * copied once (`stats().copies`), for which memory is waited for as in {@link frame}.
   *
   * Readers get whole memory segments: a frame of a capture or an input that is shown where it lies shows them all of its segment, earlier
   * and later frames of that source included, whether they are written or not. What must be seen alone is drawn into {@link frame}.
   *
   * It takes its own hold at once, the caller closes his frame all the same. A frame that was written into is to be read from now on:
   * views that it was drawn through are empty. Rejects with what ended the output. A frame whose timestamp is not after that of the one
   * before is refused (`timestamp-order`) and the output goes on.
   */
  async write(frame: VideoFrame, options: WriteOptions = {}): Promise<void> {
    checkOptions(options)
    const { signal } = options
    checkSignal(signal)
    signal?.throwIfAborted()
    if (this.#over) throw this.#over.reason
    const id = VideoFrame.drawn(frame)
    if (id === 0) throw new DOMException('the VideoFrame is closed', 'InvalidStateError')
    const { native } = engine()
    if (this.#tail) return this.#behind(this.#tail, (unwrap(native.derive(id, '{}')) as number[])[0] as number, signal)
    if (unwrap(native.writeShared(this.#id, id))) return
    return this.#last(this.#copy(id, signal))
  }

  /** The native side takes its hold on the frame before this returns. */
  #copy(id: number, signal: AbortSignal | undefined): Promise<unknown> {
    const { native } = engine()
    return this.#wait(
      (request, cancel) => native.writeSharedCopy(request, cancel, this.#id, id, DEFAULT_TIMEOUT_MS),
      signal,
    )
  }

  /** Writes a frame of ours when those before it are written. */
  async #behind(before: Promise<unknown>, id: number, signal: AbortSignal | undefined): Promise<void> {
    const step = async () => {
      try {
        signal?.throwIfAborted()
        if (this.#given) throw this.#given.reason
        if (!unwrap(engine().native.writeShared(this.#id, id))) await this.#copy(id, signal)
      } finally {
        engine().frames.closeFrame(id)
      }
    }
    return this.#last(before.then(step, step))
  }

  async #last(write: Promise<unknown>): Promise<void> {
    this.#tail = write
    try {
      await write
    } finally {
      if (this.#tail === write) this.#tail = undefined
    }
  }

  /** A native call that waits: until it is answered, the caller cancels, or the output is given up. */
  async #wait<T>(
    start: (request: number, cancel: number | undefined) => unknown,
    signal: AbortSignal | undefined,
    dispose?: (late: T) => void,
  ): Promise<T> {
    try {
      return await engine().request<T>(start, { signal, cancellable: true, ...(dispose && { dispose }) })
    } catch (error) {
      // The native side only knows that it is closed.
      throw this.#given && !signal?.aborted ? this.#given.reason : error
    }
  }

  /**
   * A frame to be drawn into through its `planes` and then written: it lies in the output's own memory, so that nothing is copied. Its
   * bytes are those of an earlier picture of this output, or 0: draw all of it.
   *
   * Waits while readers and open frames hold all memory that the output may have (128 frames of a size, at most 512 MiB of it; where another
   * process hosts the share, 4 frames that are not written yet, and at most 1 GiB there); rejects with
   * `BeamlineError` `frames-not-closed` after `timeoutMs`, and with `InvalidConfig` for what no frame can be.
   */
  async frame(init: SharedFrameInit): Promise<VideoFrame> {
    checkOptions(init)
    const { signal, timestamp, timeoutMs = DEFAULT_TIMEOUT_MS } = init
    const json = JSON.stringify(drawSpec(init))
    signal?.throwIfAborted()
    if (this.#over) throw this.#over.reason
    const { native, frames } = engine()
    let made = unwrap(native.sharedFrame(this.#id, json)) as number[]
    if (made.length === 0) {
      made = await this.#wait<number[]>(
        (request, cancel) => native.awaitSharedFrame(request, cancel, this.#id, json, timeoutMs),
        signal,
        ([late = 0]) => frames.closeFrame(late),
      )
    }
    const [id, layout] = made as [number, number]
    return VideoFrame.adoptForWriting(id, layout, timestamp, init.duration ?? Number.NaN)
  }

  /** @internal Takes nothing more; settles when what was taken is shown. */
  async end(reason: unknown): Promise<void> {
    this.#over ??= { reason }
    while (this.#tail) await this.#tail.catch(() => undefined)
  }

  /** @internal Takes nothing more; what waits is not written. */
  cut(reason: unknown): void {
    this.#over = this.#given = { reason }
  }
}

function drawSpec(init: SharedFrameInit): object {
  const { timestamp, format: name = 'I420', width, height, colorSpace, rotation, flip } = init
  const duration = init.duration ?? undefined
  checkSignal(init.signal)
  checkTimeout(init.timeoutMs)
  if (!Number.isSafeInteger(timestamp)) throw argumentError('timestamp', 'a whole number of microseconds', timestamp)
  checkWhole('duration', duration, 0, Number.MAX_SAFE_INTEGER)
  checkWhole('width', width, 1, 2 ** 32 - 1)
  checkWhole('height', height, 1, 2 ** 32 - 1)
  checkFlag('flip', flip)
  if (rotation !== undefined && ![0, 90, 180, 270].includes(rotation))
    throw argumentError('rotation', '0, 90, 180 or 270', rotation)
  const format = formatIndex(name)
  if (format < 0) throw argumentError('format', 'a pixel format', name)
  const color = colorSpace ? codesOf(colorSpace) : formatRow(format).rgb ? [1, 13, 0, 1] : undefined
  return { format, width, height, timestamp, duration, rotation, flip, color }
}
