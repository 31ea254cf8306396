import { argumentError } from './errors.js'
import type { SinkHandler } from './native/engine.js'

/** Where JavaScript takes bytes itself; with `seek`, plain files can be written too. */
export interface WriteTarget {
  /** Takes bytes at the present position; its promise is back-pressure. */
  write(bytes: Uint8Array): Promise<void> | void
  /** Goes to an offset from the start. */
  seek?(offset: number): Promise<void> | void
  /** Called once, when nothing more comes: the file is complete, or broken off with something playable in it. */
  close?(): Promise<void> | void
  /** What to call it in messages; its ending chooses the container. */
  name?: string
}

/** Where an output's bytes go: a path, a `file:` URL, a `WritableStream` of bytes, or an object that takes them. */
export type OutputTarget = string | URL | WritableStream<Uint8Array> | WriteTarget

/** A target as the engine is served by it. */
export interface Sink {
  handler: SinkHandler
  canSeek: boolean
  name?: string
  /** Lets go of a target that nothing was written to. */
  release(): void
}

/** How `target` is served. */
export function sinkOf(target: WritableStream<Uint8Array> | WriteTarget): Sink {
  if (target instanceof WritableStream) {
    const writer = target.getWriter()
    return {
      canSeek: false,
      release: () => writer.releaseLock(),
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
  // One call at a time, also for an output that is broken off while the target has not answered.
  let last: Promise<unknown> = Promise.resolve()
  const next = (call: () => Promise<void> | void) => {
    const answer = last.then(call)
    last = answer.catch(() => undefined)
    return answer
  }
  return {
    canSeek: typeof target.seek === 'function',
    ...(target.name ? { name: target.name } : {}),
    release: () => undefined,
    handler: {
      write: (bytes) => next(() => target.write(bytes)),
      seek: (to) => next(() => target.seek?.(to)),
      finish: () => next(() => target.close?.()),
      discard: () => Promise.reject(new Error('what was written cannot be taken back')),
    },
  }
}
