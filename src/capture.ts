import type { Device } from './devices.js'
import { argumentError } from './errors.js'
import { batchFor, DEFAULT_TIMEOUT_MS, FrameStream, type QueuePolicy } from './frame-stream.js'
import { closedInTime, placeOfOpening, watchLeak } from './leaks.js'
import { VideoColorSpace, type VideoColorSpaceInit } from './media/color-space.js'
import type { ExtraPixelFormat, VideoPixelFormat } from './media/types.js'
import { VideoFrame } from './media/video-frame.js'
import { engine, unwrap } from './native/engine.js'
import { formatRow } from './native/formats.js'
import { checkLoop, checkOptions, checkWhole } from './options.js'
import { type FrameRate, rateOf } from './rate.js'
import type { Share, ShareClient, ShareOptions } from './share.js'
import { ShareEnd } from './share-end.js'

/** How a capture is opened. Options of a backend (`live`, `color`, `loop`, …) stand beside the common ones. */
export interface OpenCaptureOptions {
  /** The device, or its id or URL. */
  device?: Device | string
  /** Width in pixels. */
  width?: number
  /** Height in pixels. */
  height?: number
  /** Pictures per second. */
  frameRate?: number | FrameRate
  /** Pixel format: W3C's name or our slug. */
  format?: VideoPixelFormat | ExtraPixelFormat
  /** Frames that may wait in a loop. Default: 4. */
  queue?: number
  /** What happens when that many wait. Default: `latest` for live sources, `block` for the others. */
  policy?: QueuePolicy
  /** How long a loop waits for open frames to be closed, or for another loop over the capture to be read, in ms. Default: 5000. */
  timeoutMs?: number
  /** Cancels the opening, and later closes the capture. */
  signal?: AbortSignal
  /** Whether pictures come at their own time (default) or as fast as they are taken: for `pattern` and `image`. */
  live?: boolean
  /** Ends after so many pictures: for `pattern`. */
  frames?: number
  /** Whether to burn a frame counter and timestamp in (default): for `pattern`. */
  counter?: boolean
  /** Colour as `#rrggbb`: for `pattern:solid`. */
  color?: string
  /** Whether to begin anew at the end: for `image`. */
  loop?: boolean
  /**
   * Frames that may be open at once, 1 to 24; 4 unless told otherwise: for `shared`. Frames of an earlier size are to be closed when the
   * size changes: an owner that runs out of memory ends a capture that keeps them longer (`share-past-formats`).
   *
   * The owner sets aside so many and 2 more, which are on their way, or refuses (`Quota`, `share-budget`). Before a source's first frame
   * nothing is known of its memory, so the refusal can come with that frame, as the error of a loop, instead of at the opening. Memory
   * that is bound, as a camera's, does not grow, and two of its slots stay with the driver: few readers fit, of 8 slots one with 4.
   */
  hold?: number
  /**
   * Whether frames come too that other readers of the share hand over (`capture.handOver()`), with `frame.handedBy`: between those of the
   * source, so times may go back. Default: no. For `shared`.
   */
  takeHanded?: boolean
  /**
   * For `shared:NAME`: whether this process owns the name and the memory, and another one fills it (`createOutput('shared:NAME')` there).
   * The capture is open at once, and its `format` known when the producer says it; it ends with its producer. Others read the share as any.
   *
   * The producer keeps its mapping of what it has filled: one that lies can change pictures of its own after they were shown, and no others.
   * What must not change is copied before it is looked at (`frame.copyTo()`); `frame.writable()` gives a copy always.
   */
  host?: boolean
  /** Readers at once, at most, 1 to 1024; 64 unless told otherwise: for `shared` with `host`. Who fills it takes no place. */
  clients?: number
}

/** What was really agreed. */
export interface CaptureFormat {
  /** Our name of the pixel format of frames; null when packets come, which are decoded here, and as long as nobody knows it. */
  readonly pixelFormat: string | null
  /** Family of the packets that come (`mjpeg`, `png`); null when frames come. */
  readonly encoded: string | null
  /** Width in pixels; null as long as nobody knows it: of a share whose source has neither said it nor given a picture. */
  readonly width: number | null
  /** Height in pixels; null as long as nobody knows it. */
  readonly height: number | null
  /** Pictures per second; null when not steady. */
  readonly frameRate: number | null
  /** How far pictures are turned clockwise for showing, in degrees. */
  readonly rotation: number
  /** How numbers become light. */
  readonly colorSpace: VideoColorSpace
  /** Passes over each picture on its way from the source into shared memory. */
  readonly copiesPerFrame: number
}

/** Numbers of a capture; they only grow. */
export interface CaptureStats {
  /** Pictures that the source gave. */
  captured: number
  /** Pictures that the source itself lost. */
  lost: number
  /** Pictures that loops did not get: by their policy, or because too many frames were open. */
  dropped: number
  /** Packets that were decoded. */
  decoded: number
  /** Packets that were found decoded already. */
  cached: number
  /** Passes over pictures on the way from the source. */
  copies: number
}

interface NativeCapture {
  client: number | null
  hosts: boolean
  id: number
  live: boolean
  format: NativeFormat
}

interface NativeFormat {
  /** How many there were before it. */
  changes: number
  copiesPerFrame: number
  format: number | null
  encoded: string | null
  width: number | null
  height: number | null
  frameRate: FrameRate | null
  rotation: number
  color: [string | null, string | null, string | null]
  fullRange: boolean | null
}

/** The `error` event of a {@link Capture}. */
export class CaptureErrorEvent extends Event {
  /** What ended the source. */
  readonly error: unknown

  /** @internal */
  constructor(error: unknown) {
    super('error')
    this.error = error
  }
}

/**
 * A running source of pictures: an async iterable of frames. Leaving a loop by `break` ends the loop, not the source. Close it:
 * `close()`, or `await using`.
 *
 * Events: `ended` when the source has no more pictures or is closed, `error` (a {@link CaptureErrorEvent}) when it fails, `formatchange` when
 * {@link format} has become another one, or known at all.
 */
export class Capture extends EventTarget implements AsyncDisposable, AsyncIterable<VideoFrame> {
  readonly #native: NativeCapture
  readonly #options: OpenCaptureOptions
  readonly #stream: FrameStream
  readonly #loops = new Set<{ return(): unknown }>()
  readonly #onAbort = () => void this.close()
  readonly #handlers = new Map<string, { handler: CaptureEventHandler; listener: (event: Event) => void }>()
  #over = false
  #closing: Promise<void> | undefined
  #last: CaptureStats | undefined
  #changes: number
  #format: CaptureFormat

  /** @internal */
  constructor(native: NativeCapture, options: OpenCaptureOptions, place?: string) {
    super()
    watchLeak(this, 'Capture', place, ending(native.id))
    this.#native = native
    this.#options = options
    this.#changes = native.format.changes
    this.#format = formatOf(native.format)
    // By its number alone: the engine must not keep what is forgotten.
    const me = new WeakRef(this)
    engine().onFormat(native.id, () => {
      const capture = me.deref()
      if (capture) capture.#formatChanged()
    })
    this.#stream = this.frames()
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /**
   * What was really agreed: format, size, rate, colour space, copies per frame. Another object once the source has changed it, before the
   * first frame of the new format is handed out.
   *
   * Opening waits for no picture: of a share whose source does not know what it will give (`pixelFormat`, `width` and `height` are null
   * then) a loop hears of it with the first frame, and `formatchange` tells it.
   */
  get format(): CaptureFormat {
    if (!this.#closing && engine().native.captureChanges(this.#native.id) !== this.#changes) this.#readFormat()
    return this.#format
  }

  #readFormat(): void {
    const format = JSON.parse(engine().native.captureFormat(this.#native.id)) as NativeFormat | null
    if (!format) return
    this.#changes = format.changes
    this.#format = formatOf(format)
  }

  #formatChanged(): void {
    if (this.#closing) return
    this.#readFormat()
    this.dispatchEvent(new Event('formatchange'))
  }

  /** Whether pictures come at their own time. */
  get live(): boolean {
    return this.#native.live
  }

  /** Frames with another queue than the capture's own. */
  frames(options: Pick<OpenCaptureOptions, 'queue' | 'policy' | 'timeoutMs' | 'signal'> = {}): FrameStream {
    checkOptions(options)
    checkLoop(options)
    const all = { ...this.#options, ...options }
    const words = (place?: string) => JSON.stringify({ queue: all.queue, policy: all.policy, place })
    const policy = all.policy ?? (this.live ? 'latest' : 'block')
    return new FrameStream({
      open: (place) => unwrap(engine().native.captureFrames(this.#native.id, words(place))),
      heldUp: (id) => engine().native.streamHeldUp(id),
      share: (request, json) => engine().native.shareCapture(request, this.#native.id, json),
      batch: batchFor(policy),
      timeoutMs: all.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      signal: options.signal,
      closed: () => this.#closing !== undefined,
      loops: this.#loops,
      onEnd: (error) => this.#end(error),
    })
  }

  /** The same frames for other processes: see {@link FrameStream.share}. */
  share(name: string, options: ShareOptions = {}): Promise<Share> {
    return this.#stream.share(name, options)
  }

  /** What the owner of a share calls this reader: `share.clients[].id` there. Null for sources that nobody else can read. */
  get client(): number | null {
    return this.#native.client
  }

  /**
   * Of a capture that hosts a share (`host: true`): who reads it and who fills it (`produces`), how far behind, and how many frames each
   * holds, as a snapshot; empty once it is closed. Null for all others: who reads what `share()` gives, {@link Share.clients} tells.
   */
  get clients(): ShareClient[] | null {
    if (!this.#native.hosts) return null
    return this.#closing ? [] : (JSON.parse(engine().native.captureClients(this.#native.id)) as ShareClient[])
  }

  /**
   * One end of the share that this capture hosts, for exactly one child that inherits it, as {@link Share.invite} makes them: there
   * `createOutput('shared:fd:3')` fills it, or `openCapture('shared:fd:3')` reads it.
   *
   * Rejects with `BeamlineError`: `InvalidState` (`not-hosted`, `closed`), `Quota` when 64 of them are out and unused.
   */
  async invite(): Promise<ShareEnd> {
    const end = unwrap(engine().native.captureInvite(this.#native.id))
    return new ShareEnd(JSON.parse(end) as { id: number; fd: number })
  }

  /**
   * Hands a frame of this capture to another process that reads the same share, through the owner: that one is granted it while we still
   * have ours, and its loops get it with `frame.handedBy`. `client` is the other's {@link client}. False when there is no such reader, it
   * was not opened with `takeHanded`, or it has no room now.
   *
   * It settles when the owner has answered, whether a loop is under way here or not. Rejects with `BeamlineError`: `not-shared`,
   * `frame-of-another-share`; `share-silent` when the owner is stopped and does not answer within 5 s: it still hands the frame over,
   * should it go on.
   */
  async handOver(frame: VideoFrame, client: number): Promise<boolean> {
    checkWhole('client', client, 0, Number.MAX_SAFE_INTEGER)
    const id = VideoFrame.numberOf(frame)
    if (id === 0) throw new DOMException('the VideoFrame is closed', 'InvalidStateError')
    return engine().request<boolean>((request) => engine().native.handOver(request, this.#native.id, id, client))
  }

  /** A loop over the frames from now on. */
  [Symbol.asyncIterator](): AsyncIterableIterator<VideoFrame> {
    return this.#stream[Symbol.asyncIterator]()
  }

  /** The same frames as a Web stream. */
  get readable(): ReadableStream<VideoFrame> {
    return this.#stream.readable
  }

  /** Numbers so far; after closing, the last ones. */
  stats(): CaptureStats {
    return this.#last ?? (JSON.parse(engine().native.captureStats(this.#native.id)) as CaptureStats)
  }

  /** Called at the `ended` event. */
  get onended(): CaptureEventHandler | null {
    return this.#handler('ended')
  }

  set onended(handler: CaptureEventHandler | null) {
    this.#setHandler('ended', handler)
  }

  /** Called at the `error` event. */
  get onerror(): CaptureEventHandler | null {
    return this.#handler('error')
  }

  set onerror(handler: CaptureEventHandler | null) {
    this.#setHandler('error', handler)
  }

  /** Called at the `formatchange` event. */
  get onformatchange(): CaptureEventHandler | null {
    return this.#handler('formatchange')
  }

  set onformatchange(handler: CaptureEventHandler | null) {
    this.#setHandler('formatchange', handler)
  }

  #handler(type: string): CaptureEventHandler | null {
    return this.#handlers.get(type)?.handler ?? null
  }

  /** Event handler attributes as the DOM has them: what is no function takes the handler away. */
  #setHandler(type: string, handler: CaptureEventHandler | null): void {
    const before = this.#handlers.get(type)
    if (typeof handler !== 'function') {
      if (before) this.removeEventListener(type, before.listener)
      this.#handlers.delete(type)
      return
    }
    // A new handler keeps the place of the old one among the listeners.
    if (before) before.handler = handler
    else {
      const entry = { handler, listener: (event: Event) => void entry.handler.call(this, event) }
      this.#handlers.set(type, entry)
      this.addEventListener(type, entry.listener)
    }
  }

  #end(error: unknown): void {
    if (this.#over) return
    this.#over = true
    // Not in the middle of the loop's own step.
    queueMicrotask(() => {
      if (error !== undefined) this.dispatchEvent(new CaptureErrorEvent(error))
      this.dispatchEvent(new Event('ended'))
    })
  }

  /** Ends the source and all loops (quietly); settles when its threads have ended. Frames that were handed out live on. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    closedInTime(this)
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    engine().offFormat(this.#native.id)
    this.#last = this.stats()
    for (const loop of this.#loops) loop.return()
    const last = await engine().request<CaptureStats | null>((request) =>
      engine().native.closeCapture(request, this.#native.id),
    )
    if (last) this.#last = last
    this.#end(undefined)
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Ends a forgotten capture; made out here, where nothing can refer to it. */
function ending(id: number): () => void {
  return () => {
    engine()
      .request((request) => engine().native.closeCapture(request, id))
      .catch(() => undefined)
  }
}

/** A handler of a {@link Capture}'s events. */
export type CaptureEventHandler = (this: Capture, event: Event) => void

function formatOf(native: NativeFormat): CaptureFormat {
  const [primaries, transfer, matrix] = native.color
  const colorSpace = { primaries, transfer, matrix, fullRange: native.fullRange } as VideoColorSpaceInit
  return Object.freeze({
    pixelFormat: native.format === null ? null : formatRow(native.format).slug,
    encoded: native.encoded,
    width: native.width,
    height: native.height,
    frameRate: native.frameRate && native.frameRate.num / native.frameRate.den,
    rotation: native.rotation,
    colorSpace: Object.freeze(new VideoColorSpace(colorSpace)),
    copiesPerFrame: native.copiesPerFrame,
  })
}

/**
 * Opens a source of pictures: a URL (`pattern:smpte?width=1920&height=1080`, `clip.y4m`, `shots/%05d.png`) or an object that says the same.
 * `options` go on top of either.
 *
 * Rejects with `BeamlineError`: `InvalidConfig` for sizes, rates, patterns, formats and options that cannot be; `NotFound`; `NotSupported`;
 * `Quota` where a share has no place or no memory for one more reader (see {@link OpenCaptureOptions.hold}).
 */
export async function openCapture(
  source: string | OpenCaptureOptions,
  options: OpenCaptureOptions = {},
): Promise<Capture> {
  checkOptions(options)
  // The first argument names the device; of the rest, what is said twice counts as the second one says it.
  const said = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const all: OpenCaptureOptions =
    typeof source === 'string' ? { ...said, device: source } : { ...source, ...said, ...deviceIn(source) }
  const device = typeof all.device === 'object' ? (all.device?.id ?? null) : all.device
  if (typeof device !== 'string') throw argumentError('device', "a device, or a URL such as 'pattern:smpte'", device)
  const { queue, policy, timeoutMs, signal, device: _device, frameRate, ...rest } = all
  checkLoop(all)
  const place = placeOfOpening()
  const own: Record<string, string> = {}
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) own[name] = String(value)
  if (frameRate !== undefined) {
    const { num, den } = rateOf('frameRate', frameRate)
    own['frameRate'] = `${num}/${den}`
  }
  const hosts = own['host'] === 'true' || /[?&]host=true(&|$)/.test(device)
  if (device.startsWith('shared:') && !hosts) {
    // The owner is told, too: it keeps frames for this reader, and drops for it alone.
    if (queue !== undefined) own['queue'] = String(queue)
    if (policy !== undefined) own['policy'] = policy
  }
  const json = JSON.stringify({ url: device, options: own })
  const native = await engine().request<NativeCapture>(
    (request, cancel) => engine().native.openCapture(request, cancel, json),
    {
      signal,
      cancellable: true,
      dispose: (late) => void new Capture(late, {}).close(),
    },
  )
  const keep: OpenCaptureOptions = {}
  if (queue !== undefined) keep.queue = queue
  if (policy !== undefined) keep.policy = policy
  if (timeoutMs !== undefined) keep.timeoutMs = timeoutMs
  if (signal !== undefined) keep.signal = signal
  return new Capture(native, keep, place)
}

function deviceIn(source: OpenCaptureOptions): Pick<OpenCaptureOptions, 'device'> {
  return source?.device === undefined ? {} : { device: source.device }
}
