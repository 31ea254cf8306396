import { argumentError, BeamlineError } from './errors.js'
import { closedInTime, placeOfOpening, watchLeak } from './leaks.js'
import { engine, unwrap } from './native/engine.js'
import { checkWhole } from './options.js'
import { type FrameRate, rateOf } from './rate.js'
import type { ShareClient } from './share.js'
import { SharedVideoTrack } from './shared-track.js'

/** How frames are produced for other processes. */
export interface CreateSharedOutputOptions {
  /** Readers at once, at most: 1 to 1024; 64 unless told otherwise. Refused for a name that another process hosts: that one says it. */
  clients?: number
  /** Aborts the output, as {@link SharedOutput.abort} does: what waits rejects with the signal's reason. */
  signal?: AbortSignal
}

/**
 * What is said of the pictures beforehand. Readers that come before the first frame are told; frames may be otherwise all the same. Null is
 * what nobody knows yet, as {@link CaptureFormat} has it.
 */
export interface SharedVideoConfig {
  /** Width in pixels; default of {@link SharedVideoTrack.frame}. */
  width?: number | null
  /** Height in pixels; default of {@link SharedVideoTrack.frame}. */
  height?: number | null
  /** Pictures per second, where they are steady: a hint for readers. */
  frameRate?: number | FrameRate | null
}

/** Numbers of a shared output. What its owner alone knows is undefined where another process hosts it: `capture.clients` tells it there. */
export interface SharedOutputStats {
  /** Frames that were shown to readers. */
  frames: number
  /** Those of them that had to be copied first: see {@link SharedVideoTrack.write}. */
  copies: number
  /** Frames that readers held when they ended without a word, and that came back by themselves. */
  swept: number | undefined
  /** Who reads now. */
  clients: ShareClient[] | undefined
}

/**
 * Frames of this process for others of the same user, in the same memory: they say `openCapture('shared:' + name)`.
 *
 * Where another process hosts the name (`openCapture('shared:' + name, { host: true })`, or an end of it was inherited: `shared:fd:3`), it
 * owns the memory and shows the frames: once it has closed, what is asked for here rejects with `InvalidState`, `host-closed`.
 *
 * Nobody who reads can hold it up. `close()` tells readers the end; leaving it any other way tells them an error (`output-aborted`).
 */
export class SharedOutput implements AsyncDisposable {
  readonly #id: number
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => void this.#breakOff(this.#signal?.reason).catch(() => undefined)
  #track: SharedVideoTrack | undefined
  #closing: Promise<void> | undefined
  #breaking: Promise<void> | undefined
  /** Why it was given up, once it was. */
  #broken: { reason: unknown } | undefined
  #last: SharedOutputStats | undefined

  /** Under which others find it; `fd:` and its number when an inherited end was all that was known. */
  readonly name: string

  /** @internal */
  constructor(native: NativeOutput, signal: AbortSignal | undefined, place: string | undefined) {
    watchLeak(this, 'SharedOutput', place, ending(native.id))
    this.#id = native.id
    this.name = native.name
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Its one track: pictures, handed over as they are written. */
  addVideo(config: SharedVideoConfig = {}): SharedVideoTrack {
    if (typeof config !== 'object' || config === null) throw argumentError('config', 'an object', config)
    for (const name of ENCODING)
      if ((config as Record<string, unknown>)[name] !== undefined)
        throw refused(`'${name}' is for files: a shared output hands pictures over as they are, nothing is encoded`)
    if (this.#track) throw refused('a shared output has one track of pictures, which it has already')
    const width = config.width ?? undefined
    const height = config.height ?? undefined
    checkWhole('width', width, 1, 2 ** 32 - 1)
    checkWhole('height', height, 1, 2 ** 32 - 1)
    const frameRate = config.frameRate ?? undefined
    const rate = frameRate === undefined ? undefined : rateOf('frameRate', frameRate)
    const json = JSON.stringify({ width, height, frameRate: rate && [rate.num, rate.den] })
    unwrap(engine().native.addSharedVideo(this.#id, json))
    return (this.#track = new SharedVideoTrack(this.#id, this))
  }

  /** @internal For those who come from files. */
  addAudio(): never {
    throw refused('a shared output carries pictures alone: sound goes into a file')
  }

  /** @internal */
  addVideoChunks(): never {
    throw refused('a shared output carries decoded pictures: expected frames, not chunks')
  }

  /** @internal */
  copy(): never {
    throw refused(
      'a shared output carries decoded pictures: write the frames of track.frames(), or share them by frames().share(name)',
    )
  }

  /** Ends it: readers are told, after the frames that were written; the name is free. After `abort()` it rejects with the reason. */
  close(): Promise<void> {
    if (this.#broken) return Promise.reject(this.#broken.reason)
    return (this.#closing ??= this.#complete())
  }

  async #complete(): Promise<void> {
    // Writes that are still being copied come before the end.
    await this.#track?.end(closed())
    if (this.#broken) throw this.#broken.reason
    await this.#end((request) => engine().native.closeSharedOutput(request, this.#id))
  }

  /** Gives up: readers get an error (`DeviceLost`, `output-aborted`) and the name is free. What waits rejects with an `AbortError`. */
  abort(): Promise<void> {
    return this.#breakOff(new DOMException('the output was aborted', 'AbortError'))
  }

  #breakOff(reason: unknown): Promise<void> {
    // Closed already: readers were told so.
    if (this.#last) return this.#breaking ?? Promise.resolve()
    this.#broken ??= { reason }
    this.#track?.cut(this.#broken.reason)
    return (this.#breaking ??= this.#end((request) => engine().native.abortSharedOutput(request, this.#id)))
  }

  async #end(start: (request: number) => unknown): Promise<void> {
    closedInTime(this)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#last = this.stats()
    const last = await engine().request<SharedOutputStats | null>(start)
    if (last) this.#last = { ...last, clients: last.clients && [] }
  }

  /** Numbers so far; after the end, the last ones. */
  stats(): SharedOutputStats {
    return this.#last ?? (JSON.parse(engine().native.sharedOutputStats(this.#id)) as SharedOutputStats)
  }

  /** For `await using`: leaving the block without `close()` gives it up. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#breaking ?? this.#closing ?? this.abort()).catch(() => undefined)
  }
}

interface NativeOutput {
  id: number
  name: string
}

/** Options that only an encoder understands. */
const ENCODING = ['codec', 'bitrate', 'latencyMode', 'preset', 'keyInterval', 'threads', 'queue'] as const

function refused(message: string): BeamlineError {
  return new BeamlineError(message, { code: 'NotSupported', reason: 'shared-output' })
}

function closed(): BeamlineError {
  return new BeamlineError('the output is closed', { code: 'InvalidState', reason: 'closed' })
}

/** Ends a forgotten output; made out here, where nothing can refer to it. */
function ending(id: number): () => void {
  return () => {
    engine()
      .request((request) => engine().native.abortSharedOutput(request, id))
      .catch(() => undefined)
  }
}

/** The name that a target asks to share under; nothing when it is a file or somebody who takes bytes. */
export function sharedName(target: unknown): string | undefined {
  if (typeof target !== 'string' && !(target instanceof URL)) return undefined
  const text = String(target)
  return text.startsWith(SCHEME) ? text.slice(SCHEME.length) : undefined
}

const SCHEME = 'shared:'

/** Takes a name to share frames under. */
export async function createSharedOutput(name: string, options: CreateSharedOutputOptions): Promise<SharedOutput> {
  for (const file of ['container', 'fragmented'] as const)
    if ((options as Record<string, unknown>)[file] !== undefined)
      throw refused(`'${file}' is for files: a shared output hands pictures over as they are, nothing is muxed`)
  checkWhole('clients', options.clients, 1, 1024)
  const { clients, signal } = options
  const place = placeOfOpening()
  const json = JSON.stringify({ name, clients })
  const native = await engine().request<NativeOutput>((request) => engine().native.createSharedOutput(request, json), {
    signal,
    dispose: (late) => void new SharedOutput(late, undefined, undefined).abort(),
  })
  return new SharedOutput(native, signal, place)
}
