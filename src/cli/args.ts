import { parseArgs } from 'node:util'
import type { CommandRow } from './commands.js'

/** The command line is wrong; the message says what was expected. */
export class UsageError extends Error {}

/** What was said. */
export interface Args {
  readonly positionals: readonly string[]
  /** A value, or `undefined`. */
  text(name: string): string | undefined
  /** Whether a flag was given. */
  flag(name: string): boolean
  /** A number within bounds, or `undefined`. */
  number(name: string, expected: string, fits: (n: number) => boolean): number | undefined
}

/** Reads the arguments of a command by its row. */
export function readArgs(command: CommandRow, argv: readonly string[], positionals: number): Args {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {}
  for (const { name, short, value } of command.options) {
    options[name] = { type: value ? 'string' : 'boolean', ...(short ? { short } : {}) }
  }
  let parsed
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  if (parsed.positionals.length > positionals) {
    throw new UsageError(
      `expected at most ${positionals} argument(s) but received '${parsed.positionals[positionals]}' too`,
    )
  }
  const text = (name: string) => parsed.values[name] as string | undefined
  return {
    positionals: parsed.positionals,
    text,
    flag: (name) => parsed.values[name] === true,
    number(name, expected, fits) {
      const value = text(name)
      if (value === undefined) return undefined
      const n = Number(value)
      if (value.trim() === '' || !fits(n))
        throw new UsageError(`expected ${expected} for --${name} but received '${value}'`)
      return n
    },
  }
}

/** Bits per second: `4000000`, `4000k`, `4M`. */
export function readBitrate(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const match = /^(\d+(?:\.\d+)?)([kM]?)$/.exec(value)
  if (!match)
    throw new UsageError(`expected bits per second such as 4000000, 4000k or 4M for --bitrate but received '${value}'`)
  const bits = Math.round(Number(match[1]) * (match[2] === 'M' ? 1e6 : match[2] === 'k' ? 1e3 : 1))
  if (bits < 1e3 || bits > 2e9)
    throw new UsageError(`expected 1k to 2000M bits per second for --bitrate but received '${value}'`)
  return bits
}
