import { fileURLToPath } from 'node:url'
import { argumentError, BeamlineError } from './errors.js'
import { type AudioTrackDecoderConfig, Input, type Track, type VideoTrackDecoderConfig } from './input.js'
import { type EncodedAudioChunk, type EncodedVideoChunk, packetOf } from './media/chunks.js'
import { VideoFrame } from './media/video-frame.js'
import { engine, type SinkHandler, unwrap } from './native/engine.js'
import { checkFlag, checkOneOf, checkOptions, checkSignal, checkTimes, checkWhole } from './options.js'
import { type FrameRate, rateOf } from './rate.js'

/** Where JavaScript takes bytes itself; with `seek`, plain files can be written too. */
export interface WriteTarget {
  /** Takes bytes at the present position; its promise is back-pressure. */
  write(bytes: Uint8Array): Promise<void> | void
  /** Goes to an offset from the start. */
  seek?(offset: number): Promise<void> | void
  /** Called when the file is complete. */
  close?(): Promise<void> | void
  /** What to call it in messages; its ending chooses the container. */
  name?: string
}

/** Where an output's bytes go: a path, a `file:` URL, a `WritableStream` of bytes, or an object that takes them. */
export type OutputTarget = string | URL | WritableStream<Uint8Array> | WriteTarget

/** How a file is written. */
export interface CreateOutputOptions {
  /** Container: `mp4` or `mov`. Default: by the ending of the path. */
  container?: 'mp4' | 'mov'
  /** In fragments, so that a crash leaves a playable file (default), or plain with the index in front. */
  fragmented?: boolean
  /** Aborts the output, as {@link Output.abort} does. */
  signal?: AbortSignal
}

/** A track of pictures to be encoded. What is left out comes from the first frame, or from `runtime.encoderDefaults`. */
export interface OutputVideoConfig {
  /** Codec string (`avc1.640028`) or family (`h264`). */
  codec: string
  /** Width in pixels: frames are scaled when theirs differs. */
  width?: number
  /** Height in pixels: frames are scaled when theirs differs. */
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
  /** Whether what is there can be played; if not, a file was removed. */
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

/** Options of a write. */
export interface WriteOptions {
  /** Ends the wait for room; the item is then not written. */
  signal?: AbortSignal
}

interface Waiting {
  attempt(): boolean
  resolve(): void
  reject(error: unknown): void
  drop(): void
}

/** Writes of one track, in their order, with back-pressure as promises. */
class Lane {
  readonly writer: number
  readonly #waiting: Waiting[] = []
  readonly #idle: Array<() => void> = []

  constructor(writer: number) {
    this.writer = writer
  }

  /** `attempt` says whether the item was taken; `keep` makes the item last until it is, and says how to let it go. */
  write(attempt: () => boolean, keep: () => () => void, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    try {
      if (this.#waiting.length === 0 && attempt()) return Promise.resolve()
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise<void>((resolve, reject) => {
      const drop = keep()
      const item: Waiting = { attempt, resolve, reject, drop }
      const abort = () => {
        const at = this.#waiting.indexOf(item)
        if (at < 0) return
        this.#waiting.splice(at, 1)
        drop()
        reject(signal?.reason)
        if (this.#waiting.length > 0) return
        engine().release()
        for (const done of this.#idle.splice(0)) done()
      }
      item.resolve = () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      item.reject = (error) => {
        signal?.removeEventListener('abort', abort)
        reject(error)
      }
      signal?.addEventListener('abort', abort, { once: true })
      if (this.#waiting.push(item) === 1) {
        engine().hold()
        engine().onRoom(this.writer, () => this.#room())
      }
    })
  }

  /** Settles when nothing waits for room any more. */
  idle(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #room(): void {
    // Those who waited have cancelled meanwhile.
    if (this.#waiting.length === 0) return
    while (this.#waiting.length > 0) {
      const item = this.#waiting[0] as Waiting
      try {
        if (!item.attempt()) {
          engine().onRoom(this.writer, () => this.#room())
          return
        }
        item.resolve()
      } catch (error) {
        item.reject(error)
      }
      item.drop()
      this.#waiting.shift()
    }
    engine().release()
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

/** A track of pictures that are encoded. */
export class OutputVideoTrack {
  readonly #lane: Lane

  /** @internal */
  constructor(lane: Lane) {
    this.#lane = lane
  }

  /**
   * Gives a frame to the encoder; resolves when there is room for it: back-pressure. The output takes its own hold at once, the caller
   * closes his frame all the same. Rejects with what ended the output.
   */
  write(frame: VideoFrame, options: WriteOptions & { keyFrame?: boolean } = {}): Promise<void> {
    let id = VideoFrame.numberOf(frame)
    if (id === 0) return Promise.reject(new DOMException('the VideoFrame is closed', 'InvalidStateError'))
    const { native } = engine()
    const key = options.keyFrame === true
    return this.#lane.write(
      () => unwrap(native.writeFrame(this.#lane.writer, id, key)) === 1,
      () => {
        id = (unwrap(native.derive(id, '{}')) as number[])[0] as number
        return () => engine().frames.closeFrame(id)
      },
      options.signal,
    )
  }
}

/** A track of compressed chunks that are written as they are. */
export class OutputChunkTrack<T extends EncodedVideoChunk | EncodedAudioChunk = EncodedAudioChunk> {
  readonly #lane: Lane

  /** @internal */
  constructor(lane: Lane) {
    this.#lane = lane
  }

  /** Writes one chunk, in the order of decoding; resolves when there is room. Rejects with what ended the output. */
  write(chunk: T, options: WriteOptions = {}): Promise<void> {
    const { native } = engine()
    const { data, timestamp, decodeTime, duration, key } = packetOf(chunk)
    return this.#lane.write(
      () => unwrap(native.writePacket(this.#lane.writer, data, timestamp, decodeTime, duration, key)) === 1,
      () => () => undefined,
      options.signal,
    )
  }
}

/** A media file that is being written. `close()` completes it; leaving it any other way keeps what is playable. */
export class Output implements AsyncDisposable {
  readonly #id: number
  readonly #release: () => void
  readonly #lanes: Lane[] = []
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => void this.abort().catch(() => undefined)
  #ending: Promise<OutputReport> | undefined
  #last: OutputStats | undefined

  /** @internal */
  constructor(id: number, release: () => void, signal: AbortSignal | undefined) {
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
    return new OutputChunkTrack<EncodedAudioChunk>(this.#addPackets(json))
  }

  /** A track of pictures that come as chunks. `config` is what `input.video.decoderConfig` gives. */
  addVideoChunks(config: VideoTrackDecoderConfig): OutputChunkTrack<EncodedVideoChunk> {
    if (typeof config?.codec !== 'string') throw argumentError('config', 'what input.video.decoderConfig gives', config)
    const { codec, codedWidth: width, codedHeight: height } = config
    checkWhole('codedWidth', width ?? Number.NaN, 1, 2 ** 32 - 1)
    checkWhole('codedHeight', height ?? Number.NaN, 1, 2 ** 32 - 1)
    const json = JSON.stringify({ codec, width, height, ...description(config) })
    return new OutputChunkTrack<EncodedVideoChunk>(this.#addPackets(json))
  }

  #addPackets(json: string): Lane {
    return this.#lane(unwrap(engine().native.addPackets(this.#id, json)))
  }

  #lane(writer: number): Lane {
    const lane = new Lane(writer)
    this.#lanes.push(lane)
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
  }

  /** Completes the file. Rejects with what went wrong; what was written before stays playable. */
  close(): Promise<OutputReport> {
    return (this.#ending ??= this.#close())
  }

  async #close(): Promise<OutputReport> {
    // Writes that still wait for room come before the end.
    await Promise.all(this.#lanes.map((lane) => lane.idle()))
    return this.#end((request) => engine().native.closeOutput(request, this.#id))
  }

  /** Gives up. What is playable is kept (`playable: true`), else the file is removed. After `close()` it gives that one's result. */
  abort(): Promise<OutputReport> {
    return (this.#ending ??= this.#end((request) => engine().native.abortOutput(request, this.#id)))
  }

  async #end(start: (request: number) => unknown): Promise<OutputReport> {
    const { native } = engine()
    try {
      const { durationUs, ...report } = await engine().request<NativeReport>(start)
      return { ...report, duration: durationUs }
    } finally {
      this.#signal?.removeEventListener('abort', this.#onAbort)
      this.#last = this.stats()
      native.forgetOutput(
        this.#id,
        this.#lanes.map((lane) => lane.writer),
      )
      this.#release()
    }
  }

  /** Numbers so far; after the end, the last ones. */
  stats(): OutputStats {
    return this.#last ?? (JSON.parse(engine().native.outputStats(this.#id)) as OutputStats)
  }

  /** For `await using`: leaving the block without `close()` keeps what is playable. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ending) await this.#ending.catch(() => undefined)
    // What went wrong was said by the write or close() that it hit.
    else await this.abort().catch(() => undefined)
  }
}

function description(config: { description?: Uint8Array }): { description?: number[] } {
  if (config.description === undefined) return {}
  if (config.description instanceof Uint8Array) return { description: [...config.description] }
  throw argumentError('description', 'a Uint8Array', config.description)
}

/**
 * Begins a media file: MP4 or MOV, in fragments unless told otherwise, so that a crash or a full disk leaves what was written before
 * playable.
 *
 * Rejects with `BeamlineError`: `invalid-argument` (a container that nobody knows), `not-allowed`, `no-such-file`, `disk-full`.
 */
export async function createOutput(target: OutputTarget, options: CreateOutputOptions = {}): Promise<Output> {
  checkOptions(options)
  const { container, fragmented, signal } = options
  checkSignal(signal)
  checkFlag('fragmented', fragmented)
  checkOneOf('container', container, ['mp4', 'mov'])
  signal?.throwIfAborted()
  const { native } = engine()
  const common = { container, fragmented }
  if (typeof target === 'string' || target instanceof URL) {
    const path = String(target).startsWith('file:') ? fileURLToPath(String(target)) : String(target)
    const id = unwrap(native.createOutput(undefined, JSON.stringify({ ...common, path })))
    return new Output(id, () => undefined, options.signal)
  }
  const { handler, canSeek, name } = sinkOf(target)
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
    const spec = { ...common, container: container ?? (name ? undefined : 'mp4'), sink, canSeek, name }
    return new Output(unwrap(native.createOutput(undefined, JSON.stringify(spec))), release, options.signal)
  } catch (error) {
    release()
    throw error
  }
}

function sinkOf(target: WritableStream<Uint8Array> | WriteTarget): {
  handler: SinkHandler
  canSeek: boolean
  name?: string
} {
  if (target instanceof WritableStream) {
    const writer = target.getWriter()
    return {
      canSeek: false,
      handler: {
        async write(bytes) {
          await writer.ready
          await writer.write(bytes)
        },
        seek: () => Promise.reject(new Error('a WritableStream cannot seek')),
        finish: () => writer.close(),
        discard: () => writer.abort(),
      },
    }
  }
  if (typeof target?.write !== 'function')
    throw argumentError('target', 'a path, a URL, a WritableStream or { write }', target)
  return {
    canSeek: typeof target.seek === 'function',
    ...(target.name ? { name: target.name } : {}),
    handler: {
      write: async (bytes) => target.write(bytes),
      seek: async (to) => target.seek?.(to),
      finish: async () => target.close?.(),
      discard: () => Promise.reject(new Error('what was written cannot be taken back')),
    },
  }
}
