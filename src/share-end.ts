import { engine } from './native/engine.js'

/**
 * One end of a share for exactly one child that inherits it: see {@link Share.invite} and {@link Capture.invite}. Close it once the child is spawned: `close()`, or
 * `using`.
 */
export class ShareEnd implements Disposable {
  readonly #id: number
  #closed = false

  /** Its number in this process: an element of the child's `stdio`. The child has it under its index there. */
  readonly fd: number

  /** @internal */
  constructor(native: { id: number; fd: number }) {
    this.#id = native.id
    this.fd = native.fd
  }

  /**
   * What opens it where it has this number: `shared:fd:` and {@link fd}. In a child it is `shared:fd:` and the index in `stdio`. One
   * `openCapture`, or of a hosted share one `createOutput`.
   */
  get url(): string {
    return `shared:fd:${this.fd}`
  }

  /** Closes the copy of this process; the child's own is not touched. An end that nobody took is void by that. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    engine().native.closeShareEnd(this.#id)
  }

  /** The same as {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }
}
