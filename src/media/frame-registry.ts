import { fileURLToPath } from 'node:url'
import { inDevelopment } from '../development.js'
import { engine } from '../native/engine.js'

/**
 * The net under frames that nobody closes: a batch of frames shares one token, which their buffers refer to as well; when the garbage
 * collector has taken all of them the native side lets their memory go. (Registering each frame would cost a microsecond, a finalizer
 * for each buffer a third of one; a batch costs it once, and nothing when its frames are closed by then.)
 */
export interface BatchToken {
  readonly place: string | undefined
  /** How many of them are open. */
  open: number
}

const collected = new FinalizationRegistry<{ ids: readonly number[]; place: string | undefined }>(({ ids, place }) => {
  const dropped = engine().native.dropFrames(ids as number[])
  if (dropped > 0 && inDevelopment) {
    const what = `${dropped} VideoFrame(s) were collected without close(); they came from`
    warnOnce(what, place ?? 'an unknown place', 'call frame.close(), or declare the frame with `using`')
  }
})

const warned = new Set<string>()

/** Warns of what was forgotten, once for each place that made it. */
export function warnOnce(what: string, where: string, detail: string): void {
  if (warned.has(where)) return
  warned.add(where)
  process.emitWarning(`${what} ${where}`, { type: 'BeamlineLeak', detail })
}

const heldBy: unique symbol = Symbol('beamline')

/** As long as somebody has the buffer, the frames of the batch keep their memory. */
export function holdBy(buffer: ArrayBuffer, batch: BatchToken | undefined): void {
  ;(buffer as ArrayBuffer & { [heldBy]?: BatchToken | undefined })[heldBy] = batch
}

const fresh: Array<[token: BatchToken, ids: readonly number[]]> = []

let soon = false

function register(): void {
  for (const [token, ids] of fresh) {
    // Mostly the consumer has closed them within his turn: then there is nothing to catch.
    if (token.open > 0) collected.register(token, { ids, place: token.place })
  }
  fresh.length = 0
  soon = false
}

/** A token for frames that came together; {@link catchLater} must follow. */
export function newBatch(ids: readonly number[], place: string | undefined): BatchToken {
  const token = { place, open: ids.length }
  fresh.push([token, ids])
  return token
}

/** Spans the net under the batches of this turn, once for all of them and after the consumer's: it costs a microsecond each. */
export function catchLater(): void {
  if (soon || fresh.length === 0) return
  soon = true
  setImmediate(register)
}

/** Both at once. */
export function batchOf(ids: readonly number[], place: string | undefined): BatchToken {
  const token = newBatch(ids, place)
  catchLater()
  return token
}

/** This package's code, as stacks name it: plain, and with source maps. */
const own = ['..', '../../src/'].map((folder) => fileURLToPath(new URL(folder, import.meta.url)))

/** Where the caller of our API stands: the first line of the stack outside this package. */
export function callSite(): string | undefined {
  const lines = new Error().stack?.split('\n').slice(1) ?? []
  const line = lines.find((l) => !own.some((folder) => l.includes(folder)) && !l.includes('node:internal'))
  return line?.trim().replace(/^at /, '')
}

/** The place that made a frame or opened something, in development only: it costs microseconds. */
export function placeInDevelopment(): string | undefined {
  return inDevelopment ? (callSite() ?? 'an unknown place') : undefined
}
