import { argumentError, BeamlineError } from './errors.js'
import { type EncodedAudioChunk, type EncodedVideoChunk, packetOf } from './media/chunks.js'
import { VideoFrame } from './media/video-frame.js'
import { engine, unwrap } from './native/engine.js'
import { checkFlag, checkOptions, checkSignal } from './options.js'

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
  readonly signal: AbortSignal | undefined
}

/** Waiting writes of one signal, and the one listener that they share: Node warns of more than ten listeners. */
interface Watch {
  writes: number
  readonly listener: () => void
}

/** Writes of one track, in their order, with back-pressure as promises. */
export class Lane {
  readonly writer: number
  readonly output: object
  readonly #waiting: Waiting[] = []
  readonly #idle: Array<() => void> = []
  readonly #watched = new Map<AbortSignal, Watch>()
  /** What writes are told once nothing is taken any more. */
  #over: { reason: unknown } | undefined

  /** `output` is not forgotten as long as somebody has a track of it. */
  constructor(writer: number, output: object) {
    this.writer = writer
    this.output = output
  }

  /** `attempt` says whether the item was taken; `keep` makes the item last until it is, and says how to let it go. */
  write(attempt: () => boolean, keep: () => () => void, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#over) return Promise.reject(this.#over.reason)
    try {
      if (this.#waiting.length === 0 && attempt()) return Promise.resolve()
    } catch (error) {
      return Promise.reject(error)
    }
    return new Promise<void>((resolve, reject) => {
      this.#watch(signal)
      if (this.#waiting.push({ attempt, resolve, reject, drop: keep(), signal }) === 1) {
        engine().hold()
        engine().onRoom(this.writer, () => this.#room())
      }
    })
  }

  #watch(signal: AbortSignal | undefined): void {
    if (!signal) return
    const watch = this.#watched.get(signal)
    if (watch) {
      watch.writes++
      return
    }
    const listener = () => this.#abort(signal)
    this.#watched.set(signal, { writes: 1, listener })
    signal.addEventListener('abort', listener, { once: true })
  }

  /** One write less that waits. */
  #unwatch({ signal }: Waiting): void {
    if (!signal) return
    const watch = this.#watched.get(signal)
    if (!watch || --watch.writes > 0) return
    this.#watched.delete(signal)
    signal.removeEventListener('abort', watch.listener)
  }

  /** Ends all waits of that signal, in their order. */
  #abort(signal: AbortSignal): void {
    const over = this.#waiting.filter((item) => item.signal === signal)
    if (over.length === 0) return
    const rest = this.#waiting.filter((item) => item.signal !== signal)
    this.#waiting.splice(0, Infinity, ...rest)
    for (const item of over) {
      this.#unwatch(item)
      item.drop()
      item.reject(signal.reason)
    }
    if (rest.length === 0) this.#rest()
  }

  /** Takes nothing more; settles when nothing waits for room any more. */
  end(): Promise<void> {
    this.#over ??= { reason: closed() }
    if (this.#waiting.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Takes nothing more; what waits for room is not written, and later writes are told the same. */
  cut(reason: unknown): void {
    this.#over = { reason }
    if (this.#waiting.length === 0) return
    for (const item of this.#waiting.splice(0)) {
      this.#unwatch(item)
      item.drop()
      item.reject(reason)
    }
    this.#rest()
  }

  /** Nothing waits any more. */
  #rest(): void {
    engine().release()
    for (const done of this.#idle.splice(0)) done()
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
      this.#unwatch(item)
      this.#waiting.shift()
    }
    this.#rest()
  }
}

function closed(): BeamlineError {
  return new BeamlineError('the output is closed', { code: 'InvalidState', reason: 'closed' })
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
   * closes his frame all the same. Rejects with what ended the output. A frame whose timestamp is not after that of the one before is
   * refused (`timestamp-order`) and the output goes on.
   */
  async write(frame: VideoFrame, options: WriteOptions & { keyFrame?: boolean } = {}): Promise<void> {
    checkOptions(options)
    checkSignal(options.signal)
    checkFlag('keyFrame', options.keyFrame)
    let id = VideoFrame.numberOf(frame)
    if (id === 0) throw new DOMException('the VideoFrame is closed', 'InvalidStateError')
    const { native } = engine()
    const key = options.keyFrame === true
    await this.#lane.write(
      () => unwrap(native.writeFrame(this.#lane.writer, id, key)) === 1,
      () => {
        id = (unwrap(native.derive(id, '{}')) as number[])[0] as number
        return () => engine().frames.closeFrame(id)
      },
      options.signal,
    )
  }
}

/** The class of the chunks that a track takes. */
type ChunkKind<T> = abstract new (...args: never[]) => T

/** A track of compressed chunks that are written as they are. */
export class OutputChunkTrack<T extends EncodedVideoChunk | EncodedAudioChunk = EncodedAudioChunk> {
  readonly #lane: Lane
  readonly #kind: ChunkKind<T>

  /** @internal */
  constructor(lane: Lane, kind: ChunkKind<T>) {
    this.#lane = lane
    this.#kind = kind
  }

  /**
   * Writes one chunk, in the order of decoding; resolves when there is room. Rejects with what ended the output. A chunk that is decoded
   * at or before the time of the one before is refused (`timestamp-order`) and the output goes on; what `track.chunks()` gives knows
   * when it is decoded, of another chunk its timestamp is taken.
   */
  async write(chunk: T, options: WriteOptions = {}): Promise<void> {
    checkOptions(options)
    checkSignal(options.signal)
    if (!(chunk instanceof this.#kind)) throw argumentError('chunk', `an ${this.#kind.name}`, chunk)
    const { native } = engine()
    const { data, timestamp, decodeTime, duration, key } = packetOf(chunk)
    await this.#lane.write(
      () => unwrap(native.writePacket(this.#lane.writer, data, timestamp, decodeTime, duration, key)) === 1,
      () => () => undefined,
      options.signal,
    )
  }
}
