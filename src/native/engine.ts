import { inDevelopment, warnOfStrays } from '../development.js'
import { BeamlineError, type ErrorCode } from '../errors.js'
import type { BindingError, NativeRuntime } from './binding.js'
import * as events from './events.js'
import type { FramePath } from './frame-path.js'
import { loadAddon } from './load.js'

/** Frames that a stream hands over in one call. */
export const SCRATCH_FRAMES = 16

/** What was thrown by sources and sinks of JavaScript's is kept for so many failures: an error that comes back has it as its cause. */
const FAILURES = 16

/** How long frames are handed over without giving the event loop a turn, in ms. */
const SLICE_MS = 4

/** What JavaScript serves when Rust reads from it. */
export type ReadHandler = (offset: number, length: number) => Promise<Uint8Array>

/** What JavaScript serves when Rust writes to it. */
export interface SinkHandler {
  write(bytes: Uint8Array): Promise<void>
  seek(to: number): Promise<void>
  finish(): Promise<void>
  discard(): Promise<void>
}

interface Pending {
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** How a request is made. */
export interface RequestOptions<T> {
  /** Cancels it. */
  signal?: AbortSignal | undefined
  /** Whether the native side can be told to stop: then `start` gets the number to hand over. */
  cancellable?: boolean
  /** Lets go of a result that comes after the caller has cancelled. */
  dispose?: (late: T) => void
}

/**
 * This environment's native engine: one per JavaScript environment, made at first use. It turns the doorbell into settled promises and
 * woken streams, and keeps the process alive while one is awaited.
 */
export class Engine {
  readonly native: NativeRuntime
  /** Its functions of the frame path. */
  readonly frames: FramePath
  /** Four numbers per frame: id, layout, timestamp, duration. */
  readonly scratch = new Float64Array(4 * SCRATCH_FRAMES)
  readonly #requests = new Map<number, Pending>()
  readonly #ready = new Map<number, () => void>()
  readonly #room = new Map<number, () => void>()
  readonly #formats = new Map<number, () => void>()
  readonly #sources = new Map<number, ReadHandler>()
  readonly #sinks = new Map<number, SinkHandler>()
  readonly #failures = new Map<number, unknown>()
  #next = 1
  #holds = 0
  /** When the present turn of the event loop began to hand things over; 0 when it has not. */
  #sliceStart = 0

  constructor() {
    const { NativeRuntime } = loadAddon()
    this.native = new NativeRuntime((ready?: number) => this.#onRing(ready), this.scratch)
    this.frames = this.native.framePath()
    if (inDevelopment) this.native.watchStrays()
  }

  /** Whether this turn of the event loop has handed things over for a whole time slice: then let others have theirs. */
  overdue(): boolean {
    const now = performance.now()
    if (this.#sliceStart === 0) {
      this.#sliceStart = now
      setImmediate(() => {
        this.#sliceStart = 0
      })
      return false
    }
    return now - this.#sliceStart > SLICE_MS
  }

  /** Keeps the process alive until {@link release}. */
  hold(): void {
    if (this.#holds++ === 0) this.native.hold(true)
  }

  /** Takes one {@link hold} back. */
  release(): void {
    if (--this.#holds === 0) this.native.hold(false)
  }

  /** Starts something that answers later, under a number of its own. The answer is JSON or bytes. */
  request<T>(
    start: (request: number, cancel: number | undefined) => unknown,
    options: RequestOptions<T> = {},
  ): Promise<T> {
    const { signal } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise<T>((resolve, reject) => {
      const request = this.#next++
      const cancel = options.cancellable ? this.native.cancellable() : undefined
      let cancelled = false
      const onAbort = () => {
        cancelled = true
        if (cancel !== undefined) this.native.cancel(cancel)
        reject(signal?.reason)
      }
      const settled = () => {
        signal?.removeEventListener('abort', onAbort)
        if (cancel !== undefined) this.native.forget(cancel)
        this.release()
      }
      this.hold()
      this.#requests.set(request, {
        resolve: (value) => {
          settled()
          if (cancelled) options.dispose?.(value as T)
          else resolve(value as T)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      })
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        unwrap(start(request, cancel))
      } catch (error) {
        this.#settle(request)?.reject(error)
      }
    })
  }

  /** `wake` is called at each READY event of the stream, until {@link offReady}. */
  onReady(stream: number, wake: () => void): void {
    this.#ready.set(stream, wake)
  }

  /** Takes {@link onReady} back. */
  offReady(stream: number): void {
    this.#ready.delete(stream)
  }

  /** `tell` is called when a capture's format has changed, until {@link offFormat}. */
  onFormat(capture: number, tell: () => void): void {
    this.#formats.set(capture, tell)
  }

  /** Takes {@link onFormat} back. */
  offFormat(capture: number): void {
    this.#formats.delete(capture)
  }

  /** `wake` is called once, at the writer's next ROOM event. */
  onRoom(writer: number, wake: () => void): void {
    this.#room.set(writer, wake)
  }

  /** Gives a source of JavaScript's a number. */
  addSource(read: ReadHandler): number {
    const source = this.#next++
    this.#sources.set(source, read)
    return source
  }

  /** Forgets a source. */
  removeSource(source: number): void {
    this.#sources.delete(source)
  }

  /** Gives a sink of JavaScript's a number. */
  addSink(sink: SinkHandler): number {
    const number = this.#next++
    this.#sinks.set(number, sink)
    return number
  }

  /** Forgets a sink. */
  removeSink(sink: number): void {
    this.#sinks.delete(sink)
  }

  #settle(request: number): Pending | undefined {
    const pending = this.#requests.get(request)
    this.#requests.delete(request)
    return pending
  }

  #onRing(ready: number | undefined): void {
    try {
      if (ready === undefined) this.#dispatch(this.native.drain())
      else this.#ready.get(ready)?.()
    } catch (error) {
      // A fault of ours must be heard, and must not be swallowed by the native caller.
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #dispatch(fields: ReadonlyArray<number | string | Uint8Array>): void {
    let i = 0
    const number = () => fields[i++] as number
    while (i < fields.length) {
      const kind = number()
      switch (kind) {
        case events.READY:
          this.#ready.get(number())?.()
          break
        case events.ROOM:
          this.#hasRoom(number())
          break
        case events.FORMAT:
          this.#formats.get(number())?.()
          break
        case events.DONE:
          this.#settle(number())?.resolve(JSON.parse(fields[i++] as string))
          break
        case events.FAILED:
          this.#settle(number())?.reject(toError(JSON.parse(fields[i++] as string) as BindingError))
          break
        case events.BYTES:
          this.#settle(number())?.resolve(fields[i++])
          break
        case events.READ:
          this.#serveRead(number(), number(), number(), number())
          break
        case events.SINK:
          this.#serveSink(number(), number(), number(), fields[i++] as number | Uint8Array)
          break
        case events.STRAY:
          warnOfStrays()
          break
        default:
          throw new Error(`the native side sent an event of kind ${kind}, which this version does not know`)
      }
    }
  }

  #hasRoom(writer: number): void {
    const wake = this.#room.get(writer)
    this.#room.delete(writer)
    wake?.()
  }

  #serveRead(source: number, reply: number, offset: number, length: number): void {
    const read = this.#sources.get(source)
    if (!read) return this.native.replyRead(reply, undefined, 'the source is closed')
    read(offset, length).then(
      (bytes) => this.native.replyRead(reply, bytes, undefined),
      (error: unknown) => this.native.replyRead(reply, undefined, messageOf(error), this.#failed(error)),
    )
  }

  #serveSink(sink: number, reply: number, operation: number, value: number | Uint8Array): void {
    const handler = this.#sinks.get(sink)
    if (!handler) return this.native.replySink(reply, 'the sink is closed')
    const done =
      operation === events.SINK_WRITE
        ? handler.write(value as Uint8Array)
        : operation === events.SINK_SEEK
          ? handler.seek(value as number)
          : operation === events.SINK_FINISH
            ? handler.finish()
            : handler.discard()
    done.then(
      () => this.native.replySink(reply, undefined),
      (error: unknown) => this.native.replySink(reply, messageOf(error), this.#failed(error)),
    )
  }

  /** Keeps what was thrown; gives its number. */
  #failed(error: unknown): number {
    const number = this.#next++
    this.#failures.set(number, error)
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= FAILURES) break
      this.#failures.delete(oldest)
    }
    return number
  }

  /** What was thrown under that number. */
  failure(number: number): unknown {
    return this.#failures.get(number)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The one place where an error that crossed the border as a value becomes one that is thrown. */
export function unwrap<T>(result: T): Exclude<T, BindingError> {
  if (isBindingError(result)) throw toError(result)
  return result as Exclude<T, BindingError>
}

function isBindingError(value: unknown): value is BindingError {
  return typeof value === 'object' && value !== null && 'code' in value && 'reason' in value && 'message' in value
}

/** The error that JavaScript gets. */
export function toError(error: BindingError): BeamlineError {
  return new BeamlineError(error.message, {
    code: error.code as ErrorCode,
    reason: error.reason,
    hint: error.hint ?? undefined,
    cause: error.cause === undefined ? undefined : current?.failure(error.cause),
  })
}

let current: Engine | undefined

/** This environment's engine; made, and the addon loaded, at the first call. */
export function engine(): Engine {
  return (current ??= new Engine())
}
