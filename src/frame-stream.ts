import { argumentError, BeamlineError } from './errors.js'
import { type HeldUp, heldUpError } from './held-up.js'
import { type BatchToken, callSite, catchLater, newBatch, placeInDevelopment } from './media/frame-registry.js'
import { VideoFrame } from './media/video-frame.js'
import { openShare, type Share, type ShareOptions } from './share.js'
import { type Engine, engine, SCRATCH_FRAMES, toError } from './native/engine.js'

/** What happens when a queue is full: `block` makes the producer wait; the others drop, and count it. */
export type QueuePolicy = 'block' | 'drop-oldest' | 'drop-newest' | 'latest'

/** Numbers of one loop. */
export interface FrameStreamStats {
  /** Frames that were put into the queue. */
  produced: number
  /** Frames that the queue's policy has dropped. */
  dropped: number
  /** Frames that wait now. */
  waiting: number
  /** Frames of this loop that are open now. */
  open: number
}

/** What the native side's `take` says when it hands nothing over. */
const EMPTY = -1
const EXHAUSTED = -2
const FAILED = -4

/** How long a loop waits for frames to be closed, unless told otherwise, in ms. */
export const DEFAULT_TIMEOUT_MS = 5000

/** How a stream of frames is opened and what is told of it. */
export interface StreamSource {
  /** Opens the native stream, which was made at that place; gives its number. */
  open(place: string | undefined): number
  /** Where other loops take the same frames: which of them makes the source wait, as JSON. */
  heldUp?(id: number): string | null
  /** Frames to fetch at once: 1 where only the newest counts. */
  batch: number
  timeoutMs: number
  signal?: AbortSignal | undefined
  /** Called when a loop ends by itself: with the error, or with nothing. */
  onEnd?(error: unknown): void
  /** Whether the owner was closed: then a loop ends quietly. */
  closed(): boolean
  /** Shares the same frames with other processes: the native call. */
  share?(request: number, json: string): unknown
  /** The owner's loops that go on: it ends them when it is closed, since one that nobody asks would keep its frames and its producer. */
  loops: Set<{ return(): unknown }>
}

/**
 * Frames, one after the other: an async iterable. Each `for await` is a loop of its own (a file's begins anew, a camera's goes on from
 * now); leaving it by `break` ends that loop alone. Whoever gets a frame closes it.
 */
export class FrameStream implements AsyncIterable<VideoFrame> {
  readonly #source: StreamSource
  readonly #place: string | undefined
  #newest: FrameLoop | undefined

  /** @internal */
  constructor(source: StreamSource) {
    const { timeoutMs } = source
    // setTimeout takes no more, and would fire at once.
    if (!(timeoutMs >= 0 && timeoutMs < 2 ** 31))
      throw argumentError('timeoutMs', 'milliseconds from 0 to 2147483647', timeoutMs)
    this.#source = source
    this.#place = callSite()
  }

  /** Begins a loop. */
  [Symbol.asyncIterator](): AsyncIterableIterator<VideoFrame> {
    return (this.#newest = new FrameLoop(this.#source, callSite() ?? this.#place))
  }

  /** The same frames as a Web stream: a loop of its own, cancelled by cancelling the stream. Its reader closes the frames. */
  get readable(): ReadableStream<VideoFrame> {
    // Opened at the first pull: a stream that nobody reads must not hold the source up.
    let loop: AsyncIterator<VideoFrame> | undefined
    return new ReadableStream<VideoFrame>(
      {
        pull: async (controller) => {
          loop ??= this[Symbol.asyncIterator]()
          const { done, value } = await loop.next()
          if (done) controller.close()
          else controller.enqueue(value)
        },
        cancel: async () => {
          await loop?.return?.()
        },
      },
      { highWaterMark: 0 },
    )
  }

  /**
   * The same frames for other processes of this user, in the same memory: they say `openCapture('shared:' + name)`. A name holds letters,
   * digits, `-`, `_` and `.`, or is the path of a socket. Frames that are another process's themselves (a capture of `shared:…`, but
   * not one with `host`) are copied once each.
   *
   * Rejects with `BeamlineError`: `Busy` when the name is taken, `InvalidConfig` when it cannot be one.
   */
  share(name: string, options: ShareOptions = {}): Promise<Share> {
    const { share } = this.#source
    if (!share) throw argumentError('source', 'a capture or the frames of an input', 'a stream of another kind')
    return openShare(name, options, share)
  }

  /** Numbers of the newest loop; zeros before the first. */
  stats(): FrameStreamStats {
    return this.#newest?.stats() ?? { produced: 0, dropped: 0, waiting: 0, open: 0 }
  }
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

/** A `next()` that waits. */
class Waiting {
  readonly promise: Promise<IteratorResult<VideoFrame>>
  resolve!: (result: IteratorResult<VideoFrame>) => void
  reject!: (error: unknown) => void

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

/** One loop over one native stream. */
class FrameLoop implements AsyncIterableIterator<VideoFrame> {
  readonly #engine: Engine = engine()
  readonly #source: StreamSource
  readonly #place: string | undefined
  readonly #onAbort = () => this.#abort()
  readonly #onAnswered = () => {
    this.#engine.release()
    catchLater()
  }
  #id: number
  /** Frames that were fetched and not yet asked for, newest first. */
  #fetched: VideoFrame[] = []
  #waiting: Waiting | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Of each wait for a source that has other loops too: put off again and again, since a new one for each frame would cost more. */
  #watch: ReturnType<typeof setTimeout> | undefined
  #last: FrameStreamStats = { produced: 0, dropped: 0, waiting: 0, open: 0 }
  /** The last call of `next()` that waits; the next one goes behind it. */
  #tail: Promise<IteratorResult<VideoFrame>> | undefined

  constructor(source: StreamSource, place: string | undefined) {
    this.#source = source
    this.#place = place
    source.signal?.throwIfAborted()
    this.#id = source.open(place)
    source.loops.add(this)
    source.signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#engine.onReady(this.#id, () => this.#wake())
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<VideoFrame>> {
    if (this.#tail) return this.#behind(this.#tail)
    const value = this.#fetched.pop()
    return value ? Promise.resolve({ done: false, value }) : this.#step()
  }

  /** Several calls of `next()` at once are answered in their order. */
  #behind(before: Promise<unknown>): Promise<IteratorResult<VideoFrame>> {
    const step = () => {
      const value = this.#fetched.pop()
      return value ? { done: false as const, value } : this.#step()
    }
    return this.#lastInLine(before.then(step, step))
  }

  #lastInLine(call: Promise<IteratorResult<VideoFrame>>): Promise<IteratorResult<VideoFrame>> {
    this.#tail = call
    const out = () => {
      if (this.#tail === call) this.#tail = undefined
    }
    call.then(out, out)
    return call
  }

  #step(): Promise<IteratorResult<VideoFrame>> {
    try {
      if (!this.#engine.overdue()) return this.#fetch()
      // Frames have come without a pause for a whole time slice: the event loop gets its turn.
      return this.#lastInLine(new Promise(setImmediate).then(() => this.#fetch()))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #fetch(): Promise<IteratorResult<VideoFrame>> {
    if (this.#id === 0) return this.#over()
    return this.#answer(this.#engine.frames.take(this.#id, this.#source.batch))
  }

  #answer(taken: number): Promise<IteratorResult<VideoFrame>> {
    if (taken > 0) {
      const value = this.#adopt(taken)
      catchLater()
      return Promise.resolve({ done: false, value })
    }
    if (taken === EMPTY || taken === EXHAUSTED) return this.#wait(taken === EXHAUSTED)
    return this.#end(taken === FAILED)
  }

  #over(): Promise<IteratorResult<VideoFrame>> {
    const { signal } = this.#source
    if (signal?.aborted && !this.#ended) return Promise.reject(signal.reason)
    return Promise.resolve(DONE)
  }

  #ended = false

  /** Makes frames of what lies in the scratch array; gives the first, keeps the others. */
  #adopt(taken: number): VideoFrame {
    const { scratch } = this.#engine
    const ids = [scratch[0] as number]
    for (let i = 1; i < taken; i++) ids.push(scratch[i * 4] as number)
    const batch: BatchToken = newBatch(ids, placeInDevelopment() ?? this.#place)
    for (let i = taken - 1; i > 0; i--) this.#fetched.push(this.#frame(i, batch))
    return this.#frame(0, batch)
  }

  #frame(i: number, batch: BatchToken): VideoFrame {
    const { scratch } = this.#engine
    const at = i * 4
    return VideoFrame.adopt(
      scratch[at] as number,
      scratch[at + 1] as number,
      scratch[at + 2] as number,
      scratch[at + 3] as number,
      batch,
    )
  }

  #wait(exhausted: boolean): Promise<IteratorResult<VideoFrame>> {
    const waiting = (this.#waiting = new Waiting())
    this.#engine.hold()
    const { timeoutMs, heldUp } = this.#source
    if (exhausted) this.#timer = setTimeout(() => this.#timeout(), timeoutMs)
    else if (heldUp) this.#watch = this.#watch?.refresh() ?? setTimeout(() => this.#look(), timeoutMs).unref()
    // Who is answered takes himself out of the line (`#answered`): no reaction of ours stands before the consumer's.
    this.#tail ??= waiting.promise
    return waiting.promise
  }

  /** Before a wait is settled. */
  #answered(waiting: Waiting): Waiting {
    if (this.#tail === waiting.promise) this.#tail = undefined
    return waiting
  }

  #stopWaiting(): Waiting | undefined {
    const waiting = this.#waiting
    if (!waiting) return undefined
    this.#noLongerWaits()
    this.#engine.release()
    return this.#answered(waiting)
  }

  #noLongerWaits(): void {
    this.#waiting = undefined
    if (!this.#timer) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #wake(): void {
    const waiting = this.#waiting
    if (!waiting) return
    this.#noLongerWaits()
    try {
      const taken = this.#engine.frames.take(this.#id, this.#source.batch)
      if (taken > 0) this.#answered(waiting).resolve({ done: false, value: this.#adopt(taken) })
      else this.#answerLater(waiting, taken)
    } catch (error) {
      this.#answered(waiting).reject(error)
    }
    // Behind the consumer, who was queued above and will mostly have asked for the next frame by then: his wait takes over the hold.
    queueMicrotask(this.#onAnswered)
  }

  /** The wake was for nothing, or for the end. */
  #answerLater(waiting: Waiting, taken: number): void {
    this.#answer(taken).then(
      (result) => this.#answered(waiting).resolve(result),
      (error: unknown) => this.#answered(waiting).reject(error),
    )
  }

  /** All frames that may be open are open, and nobody closes one. The stream lives: `next()` may be called again. */
  #timeout(): void {
    const open = this.stats().open
    this.#stopWaiting()?.reject(
      new BeamlineError(
        `no frame came within ${this.#source.timeoutMs} ms: ${open} frames are open, as many as may be`,
        {
          code: 'Quota',
          reason: 'frames-not-closed',
          hint: `close frames when you are done (frame.close(), or \`using\`): ${open} frames are open that came from ${this.#place ?? 'this stream'}`,
        },
      ),
    )
  }

  /** Another loop may hold the source up, perhaps for a shorter time than this one waits: then it looks again. The stream lives. */
  #look(): void {
    const { timeoutMs, heldUp } = this.#source
    if (!this.#waiting || this.#timer) return
    const held = JSON.parse(heldUp?.(this.#id) ?? 'null') as HeldUp | null
    const left = timeoutMs - (held ? held.forUs / 1000 : 0)
    if (held && left <= 0) {
      this.#stopWaiting()?.reject(heldUpError(held, timeoutMs))
      return
    }
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#look()
      },
      Math.max(left, 10),
    )
  }

  #end(failed: boolean): Promise<IteratorResult<VideoFrame>> {
    const { native } = this.#engine
    const error = failed ? streamError(this.#engine, this.#id) : undefined
    this.#ended = true
    this.#finish(native)
    if (this.#source.closed()) return Promise.resolve(DONE)
    this.#source.onEnd?.(error)
    return error ? Promise.reject(error) : Promise.resolve(DONE)
  }

  #finish(native: Engine['native']): void {
    if (this.#id === 0) return
    this.#last = this.stats()
    clearTimeout(this.#watch)
    this.#engine.offReady(this.#id)
    native.closeStream(this.#id)
    this.#id = 0
    this.#source.loops.delete(this)
    this.#source.signal?.removeEventListener('abort', this.#onAbort)
    for (const frame of this.#fetched.splice(0)) frame.close()
  }

  #abort(): void {
    const waiting = this.#stopWaiting()
    this.#finish(this.#engine.native)
    waiting?.reject(this.#source.signal?.reason)
  }

  return(): Promise<IteratorResult<VideoFrame>> {
    const waiting = this.#stopWaiting()
    this.#ended = true
    this.#finish(this.#engine.native)
    waiting?.resolve(DONE)
    return Promise.resolve(DONE)
  }

  stats(): FrameStreamStats {
    if (this.#id === 0) return this.#last
    return JSON.parse(this.#engine.native.streamStats(this.#id)) as FrameStreamStats
  }
}

/** Why a native stream failed, as it is thrown. */
export function streamError(engine: Engine, id: number): BeamlineError {
  return toError(engine.native.streamError(id))
}

/** Frames to fetch at once by policy: where only the newest counts, none is fetched ahead. */
export function batchFor(policy: QueuePolicy): number {
  return policy === 'block' ? SCRATCH_FRAMES / 2 : 1
}
