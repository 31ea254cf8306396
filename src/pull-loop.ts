import { streamError } from './frame-stream.js'
import { type Engine, engine } from './native/engine.js'

/** What the native side says of a stream that handed nothing over. */
const EMPTY = -1
const FAILED = -4

/** How a stream of things that are rare, or cheap to hand over one by one, is opened and what is told of it. */
export interface PullSource<T> {
  /** Opens the native stream; gives its number. */
  open(): number
  /** The next thing that waits. */
  take(id: number): T | undefined
  signal?: AbortSignal | undefined
  /** Whether the owner was closed: then a loop ends quietly. */
  closed(): boolean
  /** The owner's loops that go on: it ends them when it is closed. */
  loops: Set<{ return(): unknown }>
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** One loop over a native stream, opened at the first `next()`. `return()` ends it at once, a `next()` that waits included. */
export class PullLoop<T> implements AsyncIterableIterator<T> {
  readonly #engine: Engine = engine()
  readonly #source: PullSource<T>
  readonly #onAbort = () => this.#abort()
  /** 0 before the first `next()` and after the end. */
  #id = 0
  #over = false
  #aborted = false
  #waiting: { resolve(r: IteratorResult<T>): void; reject(e: unknown): void } | undefined
  /** The last call of `next()` that is not answered; the next one goes behind it. */
  #tail: Promise<unknown> | undefined

  constructor(source: PullSource<T>) {
    this.#source = source
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T>> {
    const step = () => this.#step()
    const call = this.#tail ? this.#tail.then(step, step) : step()
    this.#tail = call
    const out = () => {
      if (this.#tail === call) this.#tail = undefined
    }
    call.then(out, out)
    return call
  }

  return(): Promise<IteratorResult<T>> {
    const waiting = this.#stopWaiting()
    this.#finish()
    waiting?.resolve(DONE)
    return Promise.resolve(DONE)
  }

  #step(): Promise<IteratorResult<T>> {
    // They have come without a pause for a whole time slice: the event loop gets its turn.
    if (this.#engine.overdue()) return new Promise(setImmediate).then(() => this.#fetch())
    return this.#fetch()
  }

  async #fetch(): Promise<IteratorResult<T>> {
    const { signal } = this.#source
    if (this.#aborted) throw signal?.reason
    if (this.#over) return DONE
    if (this.#id === 0) this.#open()
    const value = this.#source.take(this.#id)
    if (value !== undefined) return { done: false, value }
    const state = this.#engine.native.streamState(this.#id)
    if (state === EMPTY) return this.#wait()
    const error = state === FAILED && !this.#source.closed() ? streamError(this.#engine, this.#id) : undefined
    this.#finish()
    if (error) throw error
    return DONE
  }

  #open(): void {
    const { signal, loops } = this.#source
    try {
      signal?.throwIfAborted()
      this.#id = this.#source.open()
    } catch (error) {
      this.#over = true
      throw error
    }
    loops.add(this)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  #wait(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#engine.hold()
      this.#engine.onReady(this.#id, () => {
        const waiting = this.#stopWaiting()
        if (waiting) this.#fetch().then(waiting.resolve, waiting.reject)
      })
    })
  }

  #stopWaiting() {
    const waiting = this.#waiting
    if (!waiting) return undefined
    this.#waiting = undefined
    this.#engine.offReady(this.#id)
    // Behind the consumer, who may ask for the next one at once: then his wait takes over the hold.
    setImmediate(() => this.#engine.release())
    return waiting
  }

  #finish(): void {
    this.#over = true
    if (this.#id === 0) return
    this.#engine.native.closeStream(this.#id)
    this.#id = 0
    this.#source.loops.delete(this)
    this.#source.signal?.removeEventListener('abort', this.#onAbort)
  }

  #abort(): void {
    this.#aborted = true
    const waiting = this.#stopWaiting()
    this.#finish()
    waiting?.reject(this.#source.signal?.reason)
  }
}
