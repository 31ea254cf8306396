import { checkOneOf, checkOptions, checkSignal, checkWhole } from './options.js'
import { argumentError } from './errors.js'
import { closedInTime, placeOfOpening, watchLeak } from './leaks.js'
import { engine, unwrap } from './native/engine.js'
import { ShareEnd } from './share-end.js'

/** How a source is shared. */
export interface ShareOptions {
  /** Readers at once, at most: 1 to 1024; 64 unless told otherwise. */
  clients?: number
  /** A file's frames come at their own time (`realtime`) unless told otherwise; `fast`: as soon as they are decoded. */
  pace?: 'realtime' | 'fast'
  /** Cancels the opening. */
  signal?: AbortSignal
}

/** One reader of a share. */
export interface ShareClient {
  /** Tells readers of one share apart. */
  id: number
  /** Its process. */
  pid: number
  /** Whether it fills frames instead of reading them: of a share that is hosted. What it holds are empty ones then, and its last ones. */
  produces: boolean
  /** Frames that it holds, or was told of and has not read yet. */
  held: number
  /** Frames that it was told of and, as it says, has not read yet. */
  behind: number
  /** Frames that wait until it lets some go. */
  waiting: number
  /** Frames that it was given. */
  granted: number
  /** Frames that its policy has dropped. */
  dropped: number
  /** Whether it takes frames that other readers hand over. */
  takesHanded: boolean
}

/** Numbers of a share. */
export interface ShareStats {
  /** Frames that were shown to readers. */
  published: number
  /** Frames that readers held when they ended without a word, and that came back by themselves. */
  swept: number
  /** Who reads now. */
  clients: ShareClient[]
}

interface NativeShare {
  id: number
  name: string
  url: string
}

/**
 * A source whose frames other processes of the same user read, in the same memory: `openCapture('shared:' + name)` there.
 *
 * It drives the source; local loops go on beside it. Readers that are slow, stopped or dead hold nobody up. Close it: `close()`, or
 * `await using`; the source goes on.
 */
export class Share implements AsyncDisposable {
  readonly #id: number
  #last: ShareStats | undefined
  #closing: Promise<void> | undefined

  /** @internal What knows the source: that is not forgotten as long as somebody has its share. */
  readonly source: unknown

  /** Under which others find it. */
  readonly name: string

  /**
   * Opens it in any process of this user, whatever its environment and folder: `shared:` and the path of its socket. To be passed by
   * environment or message, to `fork`, `spawn`, `cluster`, worker threads, or Electron's `utilityProcess`.
   */
  readonly url: string

  /** @internal */
  constructor(native: NativeShare, start: unknown, place?: string) {
    watchLeak(this, 'Share', place, ending(native.id))
    this.#id = native.id
    this.source = start
    this.name = native.name
    this.url = native.url
  }

  /** Who reads, how far behind, and how many frames each holds: a snapshot. */
  get clients(): ShareClient[] {
    return this.#closing ? [] : this.stats().clients
  }

  /** Numbers so far; after closing, the last ones. */
  stats(): ShareStats {
    return this.#last ?? (JSON.parse(engine().native.shareStats(this.#id)) as ShareStats)
  }

  /**
   * One end of it for exactly one child that inherits it, which then needs to see neither the name nor its folder, and may be another
   * user's: `spawn(…, { stdio: ['inherit', 'inherit', 'inherit', end.fd] })`, and there `openCapture('shared:fd:3')`. Close it here after
   * the spawn. The child's end is good for one `openCapture`.
   *
   * Rejects with `BeamlineError`: `Quota` when 64 of them are out and unused, `InvalidState` when the share is closed.
   */
  async invite(): Promise<ShareEnd> {
    return new ShareEnd(JSON.parse(unwrap(engine().native.shareInvite(this.#id))) as { id: number; fd: number })
  }

  /** Ends it: the name is free, readers are told the end. What they hold stays theirs until they close it. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    closedInTime(this)
    this.#last = this.stats()
    const last = await engine().request<ShareStats | null>((request) => engine().native.closeShare(request, this.#id))
    if (last) this.#last = last
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Ends a forgotten share; made out here, where nothing can refer to it. */
function ending(id: number): () => void {
  return () => {
    engine()
      .request((request) => engine().native.closeShare(request, id))
      .catch(() => undefined)
  }
}

/** Makes a share: `start` is the native call, with the request's number and the options as JSON. */
export async function openShare(
  name: string,
  options: ShareOptions,
  start: (request: number, json: string) => unknown,
): Promise<Share> {
  if (typeof name !== 'string') throw argumentError('name', 'the name of a share', name)
  checkOptions(options)
  checkWhole('clients', options.clients, 1, 1024)
  checkOneOf('pace', options.pace, ['realtime', 'fast'])
  checkSignal(options.signal)
  const place = placeOfOpening()
  const json = JSON.stringify({ name, clients: options.clients, pace: options.pace })
  const native = await engine().request<NativeShare>((request) => start(request, json), {
    signal: options.signal,
    dispose: (late) => void new Share(late, start).close(),
  })
  return new Share(native, start, place)
}
