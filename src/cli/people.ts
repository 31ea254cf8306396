import { BeamlineError } from '../errors.js'

/** Everything for people goes to stderr; stdout is data. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** An error as people read it. */
export function sayError(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  say(`beamline: ${message}`)
  if (error instanceof BeamlineError && error.hint) say(`  ${error.hint}`)
}

/** A progress bar on a terminal; nothing elsewhere. */
export class Bar {
  readonly #tty = process.stderr.isTTY === true
  #last = 0

  /** Shows how far it is, at most ten times a second. `done` is 0 to 1. */
  show(done: number, text: string): void {
    const now = performance.now()
    if (!this.#tty || (now - this.#last < 100 && done < 1)) return
    this.#last = now
    const width = Math.max(10, Math.min(40, (process.stderr.columns ?? 80) - text.length - 10))
    const full = Math.round(Math.min(1, Math.max(0, done)) * width)
    process.stderr.write(`\r\x1b[K  [${'█'.repeat(full)}${'·'.repeat(width - full)}] ${text}`)
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#tty) process.stderr.write('\r\x1b[K')
  }
}

/** Bytes as people read them. */
export function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`
}
