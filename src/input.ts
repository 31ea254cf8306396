import { fileURLToPath } from 'node:url'
import { argumentError, BeamlineError, show } from './errors.js'
import { ChunkLoop } from './chunk-stream.js'
import { batchFor, DEFAULT_TIMEOUT_MS, FrameStream, type QueuePolicy } from './frame-stream.js'
import { closedInTime, placeOfOpening, watchLeak } from './leaks.js'
import type { EncodedAudioChunk, EncodedVideoChunk } from './media/chunks.js'
import type { VideoColorSpaceInit } from './media/color-space.js'
import { type AllowSharedBufferSource, bytesOf } from './media/video-frame.js'
import { engine, unwrap } from './native/engine.js'
import { checkFlag, checkLoop, checkOneOf, checkOptions, checkSignal, checkTimes, checkWhole } from './options.js'
import type { FrameRate } from './rate.js'

/** Bytes that JavaScript fetches on request. */
export interface ReadSource {
  /** Bytes in all. */
  size: number
  /** Gives up to `length` bytes from `offset`, at least one but at the end. What it throws is the `cause` of the error that comes of it. */
  read(offset: number, length: number): Promise<Uint8Array> | Uint8Array
  /** What to call it in messages; its ending is a hint at the format. */
  name?: string
}

/** Threads that a decoder may be told to have. */
const THREADS_MAX = 256

/** Where an input's bytes come from: a path, a `file:` URL, bytes, a Blob, or an object that is asked for ranges. */
export type InputSource = string | URL | AllowSharedBufferSource | Blob | ReadSource

/** How an input is opened. */
export interface OpenInputOptions {
  /** Cancels the opening. */
  signal?: AbortSignal
  /** A file that ends too early or is damaged in places gives what can be decoded and ends quietly. Default: false. */
  recover?: boolean
}

/** Which frames of a track, and how. */
export interface FramesOptions {
  /** Begins with the first frame whose end lies after this time, in µs. Default: the beginning. */
  from?: number
  /** Ends before the first frame that begins at or after this time, in µs. Default: the end. */
  to?: number
  /** `realtime` plays at the file's own speed; `fast` (the default) as fast as frames are taken. */
  pace?: 'realtime' | 'fast'
  /** Frames that may wait. Default: 8. */
  queue?: number
  /** What happens when that many wait. Default: `block`. */
  policy?: QueuePolicy
  /** How long a loop waits for open frames to be closed, in ms. Default: 5000. */
  timeoutMs?: number
  /** Threads of the decoder, 1 to 256. Default: by the cores. */
  threads?: number
  /** Ends the loop. */
  signal?: AbortSignal
}

/** Which chunks of a track. */
export interface ChunksOptions {
  /** Begins with the last key chunk at or before this time, in µs. Default: the beginning. */
  from?: number
  /** Ends before the first chunk that is decoded at or after this time, in µs. Default: the end. */
  to?: number
  /** Ends the loop. */
  signal?: AbortSignal
}

/** W3C `VideoDecoderConfig`, as a track fills it. */
export interface VideoTrackDecoderConfig {
  /** Codec string (`avc1.4d401f`). */
  codec: string
  /** Out-of-band description (avcC, …). */
  description?: Uint8Array
  /** Pixels per row. */
  codedWidth: number
  /** Rows. */
  codedHeight: number
  /** With `displayAspectHeight`, the shape in which the picture is shown, before turning; left out where pixels are square. */
  displayAspectWidth?: number
  /** See `displayAspectWidth`. */
  displayAspectHeight?: number
  /** Colour as the container says. */
  colorSpace: VideoColorSpaceInit
}

/** W3C `AudioDecoderConfig`, as a track fills it. */
export interface AudioTrackDecoderConfig {
  /** Codec string (`mp4a.40.2`). */
  codec: string
  /** Out-of-band description (AudioSpecificConfig, …). */
  description?: Uint8Array
  /** Samples per second. */
  sampleRate: number
  /** Channels. */
  numberOfChannels: number
}

interface NativeTrack {
  index: number
  id: number
  codec: string
  family: string
  description: number[] | null
  timeBase: FrameRate
  start: number | null
  duration: number | null
  bitrate: number | null
  packets: number | null
  language: string | null
  type: 'video' | 'audio' | 'other'
  codedWidth: number
  codedHeight: number
  display: { width: number; height: number }
  pixelAspect: FrameRate | null
  frameRate: FrameRate | null
  rotation: 0 | 90 | 180 | 270
  color: [string | null, string | null, string | null]
  fullRange: boolean | null
  sampleRate: number
  channels: number
  priming: number
}

interface NativeInput {
  id: number
  format: string
  duration: number | null
  tracks: NativeTrack[]
  incomplete: string | null
}

/** What all tracks have. */
abstract class TrackBase {
  /** @internal */
  readonly native: NativeTrack
  /** @internal */
  readonly input: Input

  /** @internal */
  constructor(input: Input, native: NativeTrack) {
    this.input = input
    this.native = native
  }

  /** Place among `input.tracks`. */
  get index(): number {
    return this.native.index
  }

  /** The file's own number for the track. */
  get id(): number {
    return this.native.id
  }

  /** Codec string (`avc1.4d401f`, `mp4a.40.2`), or the family's name where no string is known. */
  get codec(): string {
    return this.native.codec
  }

  /** When its first chunk is shown or heard, in µs; null when unknown. */
  get start(): number | null {
    return this.native.start
  }

  /** Its length in µs; null when unknown. */
  get duration(): number | null {
    return this.native.duration
  }

  /** Its bits per second; null when unknown. */
  get bitrate(): number | null {
    return this.native.bitrate
  }

  /** ISO 639-2 language; null when not said. */
  get language(): string | null {
    return this.native.language
  }
}

function descriptionOf(track: NativeTrack): { description?: Uint8Array } {
  return track.description ? { description: Uint8Array.from(track.description) } : {}
}

/** The shape of the picture as W3C has it, as a fraction in lowest terms. */
function aspectOf(track: NativeTrack): { displayAspectWidth?: number; displayAspectHeight?: number } {
  const shape = track.pixelAspect
  if (!shape || shape.num === shape.den) return {}
  const [width, height] = [track.codedWidth * shape.num, track.codedHeight * shape.den]
  let [a, b] = [width, height]
  while (b !== 0) [a, b] = [b, a % b]
  return { displayAspectWidth: width / a, displayAspectHeight: height / a }
}

/** A track of pictures. */
export class VideoTrack extends TrackBase {
  /** Tells tracks apart. */
  readonly type = 'video'

  /** Pixels per row. */
  get codedWidth(): number {
    return this.native.codedWidth
  }

  /** Rows. */
  get codedHeight(): number {
    return this.native.codedHeight
  }

  /** Width when shown, in square pixels: turned, and the shape of the file's pixels taken in. */
  get displayWidth(): number {
    return this.native.display.width
  }

  /** Height when shown, in square pixels. */
  get displayHeight(): number {
    return this.native.display.height
  }

  /** Average pictures per second; null when unknown. */
  get frameRate(): number | null {
    const rate = this.native.frameRate
    return rate && rate.num / rate.den
  }

  /** How far pictures are turned clockwise for showing, in degrees. */
  get rotation(): 0 | 90 | 180 | 270 {
    return this.native.rotation
  }

  /** What a `VideoDecoder` needs to know. */
  get decoderConfig(): VideoTrackDecoderConfig {
    const { codec, codedWidth, codedHeight, color, fullRange } = this.native
    const [primaries, transfer, matrix] = color
    const colorSpace = { primaries, transfer, matrix, fullRange } as VideoColorSpaceInit
    return { codec, ...descriptionOf(this.native), codedWidth, codedHeight, ...aspectOf(this.native), colorSpace }
  }

  /**
   * Decoded pictures, in the order in which they are shown; edit lists and rotation are honoured. Each loop has a cursor and a decoder of
   * its own, so several may run side by side.
   *
   * A file that ends too early gives its decodable frames, then rejects with `truncated` (see `recover`).
   */
  frames(options: FramesOptions = {}): FrameStream {
    checkOptions(options)
    checkTimes(options)
    checkLoop(options)
    checkOneOf('pace', options.pace, ['realtime', 'fast'])
    checkWhole('threads', options.threads, 1, THREADS_MAX)
    const policy = options.policy ?? 'block'
    const spec = {
      from: options.from,
      to: options.to,
      realtime: options.pace === 'realtime',
      queue: options.queue,
      policy,
      threads: options.threads,
    }
    const json = JSON.stringify(spec)
    return new FrameStream({
      open: () => unwrap(engine().native.inputFrames(Input.numberOf(this.input), this.index, json)),
      share: (request, words) =>
        engine().native.shareTrack(request, Input.numberOf(this.input), this.index, json, words),
      batch: batchFor(policy),
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      signal: options.signal,
      closed: () => this.input.closed,
      loops: Input.loopsOf(this.input),
    })
  }

  /** Compressed pictures as they are, in the order of decoding. */
  chunks(options: ChunksOptions = {}): AsyncIterableIterator<EncodedVideoChunk> {
    return chunksOf<EncodedVideoChunk>(this, options, true)
  }
}

/** A track of sound. */
export class AudioTrack extends TrackBase {
  /** Tells tracks apart. */
  readonly type = 'audio'

  /** Samples per second. */
  get sampleRate(): number {
    return this.native.sampleRate
  }

  /** Channels. */
  get numberOfChannels(): number {
    return this.native.channels
  }

  /** What an `AudioDecoder`, or `output.addAudio`, needs to know. */
  get decoderConfig(): AudioTrackDecoderConfig {
    const { codec, sampleRate, channels } = this.native
    return { codec, ...descriptionOf(this.native), sampleRate, numberOfChannels: channels }
  }

  /** Compressed sound as it is. */
  chunks(options: ChunksOptions = {}): AsyncIterableIterator<EncodedAudioChunk> {
    return chunksOf<EncodedAudioChunk>(this, options, false)
  }
}

/** A track that is neither pictures nor sound. */
export class OtherTrack extends TrackBase {
  /** Tells tracks apart. */
  readonly type = 'other'
}

/** A track of an input. */
export type Track = VideoTrack | AudioTrack | OtherTrack

function chunksOf<T extends EncodedVideoChunk | EncodedAudioChunk>(
  track: TrackBase,
  options: ChunksOptions,
  video: boolean,
): AsyncIterableIterator<T> {
  checkOptions(options)
  checkTimes(options)
  checkSignal(options.signal)
  const json = JSON.stringify({ from: options.from, to: options.to })
  return new ChunkLoop<T>({
    open: () => unwrap(engine().native.inputPackets(Input.numberOf(track.input), track.index, json)),
    video,
    signal: options.signal,
    closed: () => track.input.closed,
    loops: Input.loopsOf(track.input),
  })
}

/** An open media file. Close it: `close()`, or `await using`. */
export class Input implements AsyncDisposable {
  readonly #native: NativeInput
  readonly #release: () => void
  readonly #loops = new Set<{ return(): unknown }>()
  #closing: Promise<void> | undefined

  /** The tracks, in the order of the file. */
  readonly tracks: readonly Track[]

  /** @internal */
  constructor(native: NativeInput, release: () => void, place?: string) {
    watchLeak(this, 'Input', place, ending(native.id, release))
    this.#native = native
    this.#release = release
    this.tracks = native.tracks.map((t) =>
      t.type === 'video'
        ? new VideoTrack(this, t)
        : t.type === 'audio'
          ? new AudioTrack(this, t)
          : new OtherTrack(this, t),
    )
  }

  /** The container's name (`mp4`, `matroska`, …). */
  get format(): string {
    return this.#native.format
  }

  /** Length in µs; null when unknown. */
  get duration(): number | null {
    return this.#native.duration
  }

  /** What is missing at the end of a file that was found incomplete when it was opened; null when nothing is. */
  get incomplete(): string | null {
    return this.#native.incomplete
  }

  /** The first video track; null when there is none. */
  get video(): VideoTrack | null {
    return this.tracks.find((t) => t instanceof VideoTrack) ?? null
  }

  /** The first audio track; null when there is none. */
  get audio(): AudioTrack | null {
    return this.tracks.find((t) => t instanceof AudioTrack) ?? null
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** Ends all loops (quietly) and settles when threads and files are released. Frames that were handed out live on. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    closedInTime(this)
    for (const loop of this.#loops) loop.return()
    await engine().request<null>((request) => engine().native.closeInput(request, this.#native.id))
    this.#release()
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal */
  static loopsOf(input: Input): Set<{ return(): unknown }> {
    return input.#loops
  }

  /** @internal */
  static numberOf(input: Input): number {
    return input.#native.id
  }
}

/** Ends a forgotten input; made out here, where nothing can refer to it. */
function ending(id: number, release: () => void): () => void {
  return () => {
    const closed = engine().request((request) => engine().native.closeInput(request, id))
    closed.catch(() => undefined).finally(release)
  }
}

interface Opened {
  start(request: number, cancel: number | undefined): unknown
  release(): void
}

/**
 * Opens a media file: a path, a `file:` URL, bytes (copied), a Blob, or `{ size, read }`.
 *
 * Rejects with `BeamlineError`: `not-media`, `truncated` (its index is not whole), `no-such-file`, `container-not-supported`,
 * `read-failed` (its `cause` is what `read` has thrown).
 */
export async function openInput(source: InputSource, options: OpenInputOptions = {}): Promise<Input> {
  checkOptions(options)
  checkSignal(options.signal)
  checkFlag('recover', options.recover)
  const place = placeOfOpening()
  const { start, release } = prepare(source, options.recover === true)
  try {
    const native = await engine().request<NativeInput>(start, {
      signal: options.signal,
      cancellable: true,
      dispose: (late) => void new Input(late, release).close(),
    })
    return new Input(native, release, place)
  } catch (error) {
    release()
    throw options.recover === true ? withoutRecover(error) : error
  }
}

/** The hint to pass `recover` is none for those who have done so. */
function withoutRecover(error: unknown): unknown {
  if (!(error instanceof BeamlineError) || !error.hint?.includes('recover: true')) return error
  const { code, reason, message, cause } = error
  return new BeamlineError(message, { code, reason, cause, hint: 'copy the file again: too little of it is here' })
}

function prepare(source: InputSource, recover: boolean): Opened {
  const { native } = engine()
  const path = source instanceof URL ? pathOf(source) : typeof source === 'string' ? pathOf(source) : undefined
  if (path !== undefined) {
    const json = JSON.stringify({ path, recover })
    return { start: (request, cancel) => native.openInput(request, cancel, json), release: () => undefined }
  }
  if (source instanceof Blob) {
    const name = (source as Blob & { name?: string }).name
    const read = async (offset: number, length: number) =>
      new Uint8Array(await source.slice(offset, offset + length).arrayBuffer())
    return served({ size: source.size, read, ...(name ? { name } : {}) }, recover)
  }
  if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer || source instanceof SharedArrayBuffer) {
    const bytes = bytesOf(source)
    return {
      start: (request, cancel) => native.openBytes(request, cancel, bytes, 'bytes', recover),
      release: () => undefined,
    }
  }
  return served(source as ReadSource, recover)
}

function pathOf(source: string | URL): string {
  const text = String(source)
  if (text.startsWith('file:')) return fileURLToPath(text)
  if (source instanceof URL || /^[a-z][a-z0-9+.-]+:\/\//i.test(text)) {
    throw argumentError('source', 'a path or a file: URL (network sources come with a later version)', text)
  }
  return text
}

function answerOf(answer: unknown, length: number): Uint8Array {
  const some = ArrayBuffer.isView(answer) || answer instanceof ArrayBuffer || answer instanceof SharedArrayBuffer
  if (some && answer.byteLength <= length) return bytesOf(answer)
  const got = some ? `${answer.byteLength} bytes` : show(answer)
  throw new BeamlineError(`expected a Uint8Array of at most ${length} bytes from read() but received ${got}`, {
    code: 'InvalidConfig',
    reason: 'bad-answer',
  })
}

function served(source: ReadSource, recover: boolean): Opened {
  if (typeof source?.read !== 'function' || !Number.isSafeInteger(source.size) || source.size < 0) {
    throw argumentError('source', 'a path, a URL, bytes, a Blob or { size, read }', source)
  }
  const it = engine()
  const number = it.addSource(async (offset, length) => answerOf(await source.read(offset, length), length))
  const json = JSON.stringify({ source: number, size: source.size, name: source.name ?? 'input', recover })
  return {
    start: (request, cancel) => it.native.openInput(request, cancel, json),
    release: () => it.removeSource(number),
  }
}
