import { fileURLToPath } from 'node:url'
import { argumentError, BeamlineError } from './errors.js'
import { type AudioTrackDecoderConfig, Input, type Track, type VideoTrackDecoderConfig } from './input.js'
import { EncodedAudioChunk, EncodedVideoChunk } from './media/chunks.js'
import { closedInTime, placeOfOpening, watchLeak } from './leaks.js'
import { engine, unwrap } from './native/engine.js'
import { checkFlag, checkOneOf, checkOptions, checkSignal, checkTimes, checkWhole } from './options.js'
import { type OutputTarget, type Sink, sinkOf } from './output-target.js'
import { Lane, OutputChunkTrack, OutputVideoTrack } from './output-tracks.js'
import { type FrameRate, rateOf } from './rate.js'
import { createSharedOutput, type CreateSharedOutputOptions, sharedName, type SharedOutput } from './shared-output.js'

/** How a file is written. */
export interface CreateOutputOptions {
  /** Container: `mp4` or `mov`. Default: by the ending of the path. */
  container?: 'mp4' | 'mov'
  /** In fragments, so that a crash leaves a playable file (default), or plain with the index in front. */
  fragmented?: boolean
  /** Aborts the output, as {@link Output.abort} does: writes and a `close()` that wait reject with the signal's reason. */
  signal?: AbortSignal
}

/** A track of pictures to be encoded. What is left out comes from the first frame, or from `runtime.encoderDefaults`. */
export interface OutputVideoConfig {
  /**
   * Codec string (`avc1.640028`) or family (`h264`). A level that does not hold the size, rate or bitrate is refused
   * (`codec-not-supported`, with the string that does): here where both sides are given, else by the first write.
   */
  codec: string
  /**
   * Width in pixels: frames are scaled when theirs differs. Of an odd one (from a frame, too) the encoder takes one pixel less: 333 is
   * written as 332. A picture whose pixels are not square keeps the shape in which it is shown: scaled to `displayWidth` and
   * `displayHeight` its pixels become square, at any other size the file says what they are.
   */
  width?: number
  /** Height in pixels: frames are scaled when theirs differs. Of an odd one the encoder takes one pixel less. */
  height?: number
  /** Bits per second. Default: constant quality. */
  bitrate?: number
  /** Pictures per second: a hint for rate control; the frames' own timestamps count. */
  frameRate?: number | FrameRate
  /** What matters more: the picture (`quality`, default) or the time (`realtime`). */
  latencyMode?: 'quality' | 'realtime'
  /** The encoder's preset (x264's names, `ultrafast` … `placebo`). */
  preset?: string
  /** Most pictures from key picture to key picture. */
  keyInterval?: number
  /** Threads of the encoder. Default: by the cores. */
  threads?: number
  /** Frames that may wait for the encoder. Default: 4. */
  queue?: number
}

/** Numbers of an output; they only grow. */
export interface OutputStats {
  /** Frames encoded. */
  frames: number
  /** Packets that came out of encoders. */
  packets: number
  /** Pictures that had to be converted or scaled for the encoder. */
  copies: number
  /** Bytes given to the target. */
  bytes: number
  /** Whole fragments that reached the target. */
  fragments: number
  /** Encoders in use, by the library's name (`libx264`). */
  encoders: string[]
  /** Codec strings of what really comes out of them. */
  codecs: string[]
}

/** What was written. */
export interface OutputReport {
  /** Bytes given to the target. */
  bytes: number
  /** Whole fragments in it (0 in the plain form). */
  fragments: number
  /** Where the last picture or sound ends, in µs. */
  duration: number
  /** Whether the file is complete, or was broken off. */
  complete: boolean
  /** Whether what is there can be played; if not, nothing of it is left. */
  playable: boolean
}

interface NativeReport {
  bytes: number
  fragments: number
  durationUs: number
  complete: boolean
  playable: boolean
}

/** Which part of a track is copied. */
export interface CopyOptions {
  /** Begins with the last key chunk at or before this time, in µs. Default: the beginning. */
  from?: number
  /** Ends before the first chunk that is decoded at or after this time, in µs. Default: the end. */
  to?: number
  /** Ends where the last of the tracks that are written ends, when that comes first. Default: false. */
  shortest?: boolean
}

/** Options of {@link Output.close}. */
export interface CloseOptions {
  /** Gives up, as {@link Output.abort} does; `close()` rejects with the signal's reason. */
  signal?: AbortSignal
}

/** A media file that is being written. `close()` completes it; leaving it any other way keeps what is playable. */
export class Output implements AsyncDisposable {
  readonly #id: number
  readonly #release: () => void
  readonly #lanes: Lane[] = []
  readonly #writers: number[] = []
  /** Inputs that are copied from: not forgotten as long as this goes on. */
  readonly #copied: Input[] = []
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => void this.#breakOff(this.#signal?.reason).catch(() => undefined)
  #closing: Promise<OutputReport> | undefined
  #cancelClose: ((reason: unknown) => void) | undefined
  /** Why it was given up, once it was. */
  #broken: { reason: unknown } | undefined
  #breaking: Promise<OutputReport> | undefined
  /** What a `close()` that failed has left. */
  #left: Promise<OutputReport> | undefined
  /** The last numbers, once it has ended. */
  #last: OutputStats | undefined

  /** @internal */
  constructor(id: number, release: () => void, signal: AbortSignal | undefined, place: string | undefined) {
    watchLeak(this, 'Output', place, ending(id, this.#writers, release))
    this.#id = id
    this.#release = release
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** A track of pictures that are encoded here. All tracks are added before the first write. */
  addVideo(config: OutputVideoConfig): OutputVideoTrack {
    if (typeof config?.codec !== 'string')
      throw argumentError('codec', "a codec string such as 'avc1.640028' or 'h264'", config?.codec)
    checkOneOf('latencyMode', config.latencyMode, ['quality', 'realtime'])
    if (config.preset !== undefined && typeof config.preset !== 'string')
      throw argumentError('preset', "a preset's name such as 'fast'", config.preset)
    const rate = config.frameRate === undefined ? undefined : rateOf('frameRate', config.frameRate)
    for (const name of ['width', 'height', 'bitrate', 'keyInterval'] as const)
      checkWhole(name, config[name], 1, 2 ** 32 - 1)
    checkWhole('threads', config.threads, 1, 256)
    checkWhole('queue', config.queue, 1, 1024)
    const { latencyMode, frameRate: _rate, ...rest } = config
    const json = JSON.stringify({
      ...rest,
      realtime: latencyMode === 'realtime',
      frameRate: rate && [rate.num, rate.den],
    })
    const writer = unwrap(engine().native.addVideo(this.#id, json))
    return new OutputVideoTrack(this.#lane(writer))
  }

  /** A track of sound that comes as chunks. `config` is what `input.audio.decoderConfig` gives. */
  addAudio(config: AudioTrackDecoderConfig): OutputChunkTrack<EncodedAudioChunk> {
    if (typeof config?.codec !== 'string') throw argumentError('config', 'what input.audio.decoderConfig gives', config)
    const { codec, sampleRate, numberOfChannels } = config
    checkWhole('sampleRate', sampleRate ?? Number.NaN, 1, 2 ** 32 - 1)
    checkWhole('numberOfChannels', numberOfChannels ?? Number.NaN, 1, 255)
    const json = JSON.stringify({ codec, sampleRate, channels: numberOfChannels, ...description(config) })
    return new OutputChunkTrack(this.#addPackets(json), EncodedAudioChunk)
  }

  /** A track of pictures that come as chunks. `config` is what `input.video.decoderConfig` gives. */
  addVideoChunks(config: VideoTrackDecoderConfig): OutputChunkTrack<EncodedVideoChunk> {
    if (typeof config?.codec !== 'string') throw argumentError('config', 'what input.video.decoderConfig gives', config)
    const { codec, codedWidth: width, codedHeight: height, displayAspectWidth, displayAspectHeight } = config
    checkWhole('codedWidth', width ?? Number.NaN, 1, 2 ** 32 - 1)
    checkWhole('codedHeight', height ?? Number.NaN, 1, 2 ** 32 - 1)
    if ((displayAspectWidth === undefined) !== (displayAspectHeight === undefined))
      throw argumentError('config', 'displayAspectWidth and displayAspectHeight, or neither', config)
    checkWhole('displayAspectWidth', displayAspectWidth, 1, Number.MAX_SAFE_INTEGER)
    checkWhole('displayAspectHeight', displayAspectHeight, 1, Number.MAX_SAFE_INTEGER)
    const aspect = displayAspectWidth === undefined ? undefined : [displayAspectWidth, displayAspectHeight]
    const json = JSON.stringify({ codec, width, height, aspect, ...description(config) })
    return new OutputChunkTrack(this.#addPackets(json), EncodedVideoChunk)
  }

  #addPackets(json: string): Lane {
    return this.#lane(unwrap(engine().native.addPackets(this.#id, json)))
  }

  #lane(writer: number): Lane {
    const lane = new Lane(writer, this)
    this.#lanes.push(lane)
    this.#writers.push(writer)
    return lane
  }

  /** Copies a track of an input as it is, by a thread of its own, at the pace of the other tracks. `close()` waits for its end. */
  copy(track: Track, options: CopyOptions = {}): void {
    if (!(track?.input instanceof Input)) throw argumentError('track', 'a track of an input', track)
    checkOptions(options)
    checkTimes(options)
    checkFlag('shortest', options.shortest)
    const json = JSON.stringify({ from: options.from, to: options.to, shortest: options.shortest })
    unwrap(engine().native.copyTrack(this.#id, Input.numberOf(track.input), track.index, json))
    this.#copied.push(track.input)
  }

  /**
   * Completes the file. Rejects with what went wrong: `abort()` then tells whether what was written before is playable. Cancelled by
   * `signal` or by `abort()`, it rejects with the reason, and what is playable is kept.
   */
  async close(options: CloseOptions = {}): Promise<OutputReport> {
    checkOptions(options)
    const { signal } = options
    checkSignal(signal)
    const onAbort = () => void this.#breakOff(signal?.reason).catch(() => undefined)
    if (signal?.aborted) {
      onAbort()
      throw signal.reason
    }
    if (this.#broken) throw this.#broken.reason
    this.#closing ??= this.#complete()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await this.#closing
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #complete(): Promise<OutputReport> {
    return new Promise((resolve, reject) => {
      this.#cancelClose = reject
      const run = async () => {
        // Writes that still wait for room come before the end.
        await Promise.all(this.#lanes.map((lane) => lane.end()))
        // Broken off meanwhile: this promise is rejected already.
        if (!this.#broken) resolve(await this.#end((request) => engine().native.closeOutput(request, this.#id)))
      }
      run().catch(reject)
    })
  }

  /**
   * Gives up. What is playable is kept (`playable: true`); else nothing is left of it, and a file that was there before is as it was.
   * A `close()` that waits rejects with an `AbortError`, and so do later calls of `close()` and `write()`. After a failure (a full disk,
   * say) it tells what that has left; after a `close()` that has completed the file it gives that one's report.
   */
  async abort(): Promise<OutputReport> {
    return this.#breakOff(new DOMException('the output was aborted', 'AbortError'))
  }

  #breakOff(reason: unknown): Promise<OutputReport> {
    if (this.#breaking) return this.#breaking
    if (this.#closing && this.#last) return this.#left ?? this.#closing
    this.#broken = { reason }
    this.#cancelClose?.(reason)
    for (const lane of this.#lanes) lane.cut(reason)
    return (this.#breaking = this.#end((request) => engine().native.abortOutput(request, this.#id)))
  }

  async #end(start: (request: number) => unknown): Promise<OutputReport> {
    try {
      return await report(start)
    } catch (error) {
      if (!this.#broken) for (const lane of this.#lanes) lane.cut(error)
      // Asked now, while the native side still knows the output.
      if (!this.#last) {
        this.#left = report((request) => engine().native.abortOutput(request, this.#id))
        this.#left.catch(() => undefined)
      }
      throw error
    } finally {
      // Once, although a close() that was broken off ends twice.
      if (!this.#last) {
        closedInTime(this)
        this.#copied.length = 0
        this.#signal?.removeEventListener('abort', this.#onAbort)
        this.#last = this.stats()
        engine().native.forgetOutput(this.#id, this.#writers)
        this.#release()
      }
    }
  }

  /** Numbers so far; after the end, the last ones. */
  stats(): OutputStats {
    return this.#last ?? (JSON.parse(engine().native.outputStats(this.#id)) as OutputStats)
  }

  /** For `await using`: leaving the block without `close()` keeps what is playable. */
  async [Symbol.asyncDispose](): Promise<void> {
    // What went wrong was said by the write or close() that it hit.
    await (this.#breaking ?? this.#closing ?? this.abort()).catch(() => undefined)
  }
}

/** Ends a forgotten output; made out here, where nothing can refer to it. */
function ending(id: number, writers: number[], release: () => void): () => void {
  return () => {
    const aborted = report((request) => engine().native.abortOutput(request, id))
    aborted
      .catch(() => undefined)
      .finally(() => {
        engine().native.forgetOutput(id, writers)
        release()
      })
  }
}

async function report(start: (request: number) => unknown): Promise<OutputReport> {
  const { durationUs, ...rest } = await engine().request<NativeReport>(start)
  return { ...rest, duration: durationUs }
}

function description(config: { description?: Uint8Array }): { description?: number[] } {
  if (config.description === undefined) return {}
  if (config.description instanceof Uint8Array) return { description: [...config.description] }
  throw argumentError('description', 'a Uint8Array', config.description)
}

/**
 * Begins an output for other processes of the same user: they say `openCapture('shared:NAME')` and see the frames that are written here in
 * the same memory. A name holds letters, digits, `-`, `_` and `.`, or is the path of a socket. (A file of such a name is `./shared:NAME`.)
 * With a frame of a capture or an input they see the whole memory segment in which it lies: earlier and later frames of that source, too.
 *
 * When another process hosts the name (`openCapture('shared:NAME', { host: true })`), the frames are drawn in its memory and shown by it:
 * what `video.frame()` gives needs no copy then, other frames are copied once.
 *
 * Rejects with `BeamlineError`: `share-taken`, `share-produced` (Busy), `share-ended` (InvalidState), `share-name`.
 */
export function createOutput(target: `shared:${string}`, options?: CreateSharedOutputOptions): Promise<SharedOutput>
/**
 * Begins a media file: MP4 or MOV, in fragments unless told otherwise, so that a crash or a full disk leaves what was written before
 * playable.
 *
 * At a path, a file that is there already is replaced, in one step, when the first fragment of the new one is whole (with
 * `fragmented: false`, when it is complete); until then it is untouched, and an input that has it open goes on reading it. Its bytes are
 * on the disk before they take the old file's name. What is no plain file (`/dev/stdout`, a pipe) is written directly; so is a file that
 * may be written in a folder that may not: it is emptied at the first byte.
 *
 * Rejects with `BeamlineError`: `invalid-argument` (a container that nobody knows), `not-allowed`, `no-such-file`, `disk-full`.
 */
export function createOutput(target: OutputTarget, options?: CreateOutputOptions): Promise<Output>
export async function createOutput(
  target: OutputTarget,
  options: CreateOutputOptions & CreateSharedOutputOptions = {},
): Promise<Output | SharedOutput> {
  checkOptions(options)
  const { container, fragmented, signal } = options
  checkSignal(signal)
  const shared = sharedName(target)
  if (shared !== undefined) return createSharedOutput(shared, options)
  checkFlag('fragmented', fragmented)
  checkOneOf('container', container, ['mp4', 'mov'])
  signal?.throwIfAborted()
  const place = placeOfOpening()
  const { native } = engine()
  if (typeof target === 'string' || target instanceof URL) {
    const path = String(target).startsWith('file:') ? fileURLToPath(String(target)) : String(target)
    const id = unwrap(native.createOutput(undefined, JSON.stringify({ container, fragmented, path })))
    return new Output(id, () => undefined, signal, place)
  }
  const sink = sinkOf(target)
  try {
    return createServed(sink, options, place)
  } catch (error) {
    sink.release()
    throw error
  }
}

/** An output into what JavaScript serves. */
function createServed(
  { handler, canSeek, name }: Sink,
  { container, fragmented, signal }: CreateOutputOptions,
  place: string | undefined,
): Output {
  if (fragmented === false && !canSeek) {
    throw new BeamlineError('a plain file needs a target that can seek: expected { write, seek } or a path', {
      code: 'NotSupported',
      reason: 'not-seekable',
      hint: 'leave `fragmented` at its default for targets that only go forward',
    })
  }
  const sink = engine().addSink(handler)
  const release = () => engine().removeSink(sink)
  try {
    const spec = { container: container ?? (name ? undefined : 'mp4'), fragmented, sink, canSeek, name }
    return new Output(unwrap(engine().native.createOutput(undefined, JSON.stringify(spec))), release, signal, place)
  } catch (error) {
    release()
    throw error
  }
}
