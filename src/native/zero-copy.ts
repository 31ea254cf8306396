import { inDevelopment } from '../development.js'
import { BeamlineError } from '../errors.js'
import { type Engine, engine } from './engine.js'

/**
 * How JavaScript sees a frame's memory: `external`, array buffers over it that die with `close()`; `wasm`, a private WebAssembly
 * memory per slot that is mapped over it (runtimes with a memory cage, such as Electron's); `copy`, a copy at first access, counted.
 */
export type ZeroCopyMode = 'external' | 'wasm' | 'copy'

/** One buffer of a frame as JavaScript sees it. */
export interface View {
  readonly buffer: ArrayBuffer
  /** Bytes from the buffer's start to where the frame's buffer begins. */
  readonly offset: number
}

/** What is used of the global `WebAssembly`, which Node's own types leave to the DOM's. */
interface WasmMemory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/** Memory that is mapped over a slot. */
interface WasmSlot {
  /** Which slot. */
  readonly key: number
  readonly memory: WasmMemory
  /** Its bytes, where it is another process's: what a script stores there must be undone. Else 0. */
  readonly foreign: number
  /** Which part of it is looked at next. */
  part: number
}

const { WebAssembly } = globalThis as unknown as {
  WebAssembly?: { Memory: new (size: { initial: number; maximum: number }) => WasmMemory }
}

const MODES: readonly ZeroCopyMode[] = ['external', 'wasm', 'copy']
const WASM_PAGE = 65_536
/** Each memory reserves 8 to 10 GB of address space; beyond so many, frames are copied, and counted. */
const WASM_MEMORIES_MAX = 64
/** Every so many uses of another process's slots one is looked at for stray stores (`crates/arena/src/stray.rs` does the same). */
const TURNS = 61
/** What `mapSlot` says of another process's slot. */
const FOREIGN = 2

let mode: ZeroCopyMode | undefined

/** The way in use: probed and tested at the first call, or forced by `BEAMLINE_ZERO_COPY`. */
export function zeroCopyMode(): ZeroCopyMode {
  return (mode ??= choose(process.env['BEAMLINE_ZERO_COPY']))
}

function choose(forced: string | undefined): ZeroCopyMode {
  const { native } = engine()
  const works: Record<ZeroCopyMode, () => boolean> = {
    external: () => probeExternal(native),
    wasm: () => probeWasm(native),
    copy: () => true,
  }
  if (forced === undefined || forced === '') return MODES.find((m) => works[m]()) ?? 'copy'
  if (!MODES.includes(forced as ZeroCopyMode)) {
    throw new BeamlineError(`expected BEAMLINE_ZERO_COPY to be one of ${MODES.join(', ')} but it is '${forced}'`, {
      code: 'InvalidConfig',
      reason: 'zero-copy-mode',
    })
  }
  if (!works[forced as ZeroCopyMode]()) {
    throw new BeamlineError(`BEAMLINE_ZERO_COPY asks for '${forced}', which this runtime does not allow`, {
      code: 'NotSupported',
      reason: 'zero-copy-mode',
      hint: 'leave BEAMLINE_ZERO_COPY unset to take the best way that works here',
    })
  }
  return forced as ZeroCopyMode
}

/** The two bytes that the native side writes into a slot for the probes. */
const MARK = [0xbe, 0xa3] as const

function probeExternal(native: Engine['native']): boolean {
  const buffer = native.probeExternal()
  if (!buffer) return false
  const bytes = new Uint8Array(buffer)
  const shows = bytes[0] === MARK[0] && bytes[1] === MARK[1]
  native.closeView(buffer)
  return shows && bytes.byteLength === 0
}

function probeWasm(native: Engine['native']): boolean {
  if (!WebAssembly) return false
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 })
    const before = memory.buffer
    if (!native.probeWasm(before)) return false
    const bytes = new Uint8Array(before)
    const shows = bytes[0] === MARK[0] && bytes[1] === MARK[1]
    memory.grow(0)
    // The old view must be dead, the mapping alive.
    return shows && bytes.byteLength === 0 && new Uint8Array(memory.buffer)[1] === MARK[1]
  } catch {
    return false
  }
}

/** WebAssembly memories by slot, those in use and those that wait for the slot's next frame. */
class WasmMemories {
  readonly #idle = new Map<number, WasmSlot[]>()
  #count = 0
  #turn = 0
  /** A script here stores into frames. */
  #suspect = false

  take(frame: number, index: number, bytes: number): WasmSlot | undefined {
    const { native, frames } = engine()
    const key = frames.slotKey(frame, index)
    const idle = this.#idle.get(key)?.pop()
    if (idle) return idle
    if (this.#count >= WASM_MEMORIES_MAX && !this.#evict()) return undefined
    if (!WebAssembly) return undefined
    const pages = Math.ceil(bytes / WASM_PAGE)
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const mapped = native.mapSlot(frame, index, memory.buffer)
    if (!mapped) return undefined
    this.#count++
    return { key, memory, foreign: mapped === FOREIGN ? bytes : 0, part: this.#count * 5 }
  }

  /** Kills the views of a memory and keeps it for the slot's next frame. */
  put(slot: WasmSlot): void {
    slot.memory.grow(0)
    if (slot.foreign) this.#undoStrays(slot)
    const idle = this.#idle.get(slot.key)
    if (idle) idle.push(slot)
    else this.#idle.set(slot.key, [slot])
  }

  /** Now and then, and in development always; always too, once something was found. */
  #undoStrays(slot: WasmSlot): void {
    const always = inDevelopment || this.#suspect
    if (!always && ++this.#turn % TURNS !== 0) return
    const part = always ? -1 : slot.part++
    const found = engine().native.undoStrays(slot.memory.buffer, slot.foreign, part)
    if (!found || this.#suspect) return
    this.#suspect = true
    // What is left from before: memories in use are looked at when they are put back.
    for (const idle of this.#idle.values()) for (const other of idle) if (other.foreign) this.#undoStrays(other)
  }

  /** Forgets the memory that has been idle longest; the garbage collector unmaps it. */
  #evict(): boolean {
    for (const [key, idle] of this.#idle) {
      const gone = idle.pop()
      if (idle.length === 0) this.#idle.delete(key)
      if (gone) {
        this.#count--
        return true
      }
    }
    return false
  }
}

const memories = new WasmMemories()

/** A frame's buffers as JavaScript sees them, and what must be undone when the frame closes. */
export interface OpenViews {
  /** Whether they show copies: what is written into them must be brought back. */
  readonly copied: boolean
  /** One of them, by its index. */
  at(index: number): View
  /** Makes the views empty and lets go of the frame; of the views alone when it is 0. */
  close(frame: number): void
}

/** Shows a frame's buffers (`[offset in the slot, bytes, bytes of the slot]` each) to JavaScript. */
export function openViews(frame: number, buffers: ReadonlyArray<readonly number[]>): OpenViews {
  const way = mode ?? zeroCopyMode()
  // Mostly all planes lie in one buffer: that way allocates nothing but itself.
  if (way === 'external') return buffers.length === 1 ? new ExternalView(frame, 0) : new ExternalViews(frame, buffers)
  if (way === 'wasm') return WasmViews.open(frame, buffers) ?? new CopiedViews(frame, buffers)
  return new CopiedViews(frame, buffers)
}

class ExternalView implements OpenViews, View {
  readonly copied = false
  readonly buffer: ArrayBuffer
  readonly offset = 0

  constructor(frame: number, index: number) {
    const buffer = engine().frames.view(frame, index)
    if (!buffer)
      throw new BeamlineError('the runtime refused a view of a frame', { code: 'Internal', reason: 'internal' })
    this.buffer = buffer
  }

  at(): View {
    return this
  }

  close(frame: number): void {
    engine().frames.closeWith(frame, this.buffer)
  }
}

class ExternalViews implements OpenViews {
  readonly copied = false
  readonly #views: readonly ExternalView[]

  constructor(frame: number, buffers: ReadonlyArray<unknown>) {
    this.#views = buffers.map((_, index) => new ExternalView(frame, index))
  }

  at(index: number): View {
    return this.#views[index] as View
  }

  close(frame: number): void {
    // A void number finds no frame: the last one takes it.
    this.#views.forEach((view, index) => view.close(index === this.#views.length - 1 ? frame : 0))
  }
}

class WasmView implements View {
  readonly buffer: ArrayBuffer

  constructor(
    readonly slot: WasmSlot,
    readonly offset: number,
  ) {
    this.buffer = slot.memory.buffer
  }
}

class WasmViews implements OpenViews {
  readonly copied = false
  readonly #views: readonly WasmView[]

  private constructor(views: readonly WasmView[]) {
    this.#views = views
  }

  /** Nothing where there is no memory left to map over. */
  static open(frame: number, buffers: ReadonlyArray<readonly number[]>): WasmViews | undefined {
    const views: WasmView[] = []
    for (let index = 0; index < buffers.length; index++) {
      const [offset = 0, , slotBytes = 0] = buffers[index] as readonly number[]
      const slot = memories.take(frame, index, slotBytes)
      if (!slot) {
        for (const view of views) memories.put(view.slot)
        return undefined
      }
      views.push(new WasmView(slot, offset))
    }
    return new WasmViews(views)
  }

  at(index: number): View {
    return this.#views[index] as View
  }

  close(frame: number): void {
    for (const view of this.#views) memories.put(view.slot)
    engine().frames.closeFrame(frame)
  }
}

class CopiedViews implements OpenViews {
  readonly copied = true
  readonly #views: readonly View[]

  constructor(frame: number, buffers: ReadonlyArray<readonly number[]>) {
    this.#views = buffers.map(([, bytes = 0], index) => {
      // JavaScript's own memory, not zeroed first: it goes back at once when it is detached.
      const copy = Buffer.allocUnsafeSlow(bytes)
      if (!engine().native.copied(frame, index, copy)) {
        throw new BeamlineError('a frame could not be copied', { code: 'Internal', reason: 'internal' })
      }
      return { buffer: copy.buffer as ArrayBuffer, offset: copy.byteOffset }
    })
  }

  at(index: number): View {
    return this.#views[index] as View
  }

  close(frame: number): void {
    const { native, frames } = engine()
    // A copy is nobody else's; it is made empty all the same, so that code that works here works everywhere.
    for (const { buffer } of this.#views) native.closeView(buffer)
    frames.closeFrame(frame)
  }
}
