import { argumentError } from './errors.js'

/** Refuses an option that is none of these; `undefined` is the default of all. */
export function checkOneOf(name: string, value: unknown, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value as string)) return
  const all = allowed.map((one) => `'${one}'`)
  throw argumentError(name, `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`, value)
}

/** Refuses an option that is no whole number within these bounds. */
export function checkWhole(name: string, value: unknown, from: number, to: number): void {
  if (value === undefined || (Number.isInteger(value) && (value as number) >= from && (value as number) <= to)) return
  throw argumentError(name, `a whole number from ${from} to ${to}`, value)
}

/** Refuses an option that is neither true nor false. */
export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw argumentError(name, 'true or false', value)
}

/** Refuses a `signal` that is none. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw argumentError('signal', 'an AbortSignal', signal)
}

/** Refuses options that are no object. */
export function checkOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw argumentError('options', 'an object', options)
}

/** Refuses times that are no whole microseconds, and an end before the beginning. */
export function checkTimes(options: { from?: number | undefined; to?: number | undefined }): void {
  for (const name of ['from', 'to'] as const) {
    const value = options[name]
    if (value !== undefined && !Number.isSafeInteger(value))
      throw argumentError(name, 'a whole number of microseconds', value)
  }
  const { from, to } = options
  if (from !== undefined && to !== undefined && from > to)
    throw argumentError('to', `a time at or after 'from' (${from})`, to)
}

/** Refuses a `timeoutMs` that no timer takes. */
export function checkTimeout(timeoutMs: unknown): void {
  // setTimeout takes no more, and would fire at once.
  const fits = typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs < 2 ** 31
  if (timeoutMs !== undefined && !fits) throw argumentError('timeoutMs', 'milliseconds from 0 to 2147483647', timeoutMs)
}

/** Refuses what a loop over frames cannot be served by. */
export function checkLoop(options: { queue?: unknown; policy?: unknown; timeoutMs?: unknown; signal?: unknown }): void {
  checkWhole('queue', options.queue, 1, 1024)
  checkOneOf('policy', options.policy, ['block', 'drop-oldest', 'drop-newest', 'latest'])
  checkTimeout(options.timeoutMs)
  checkSignal(options.signal)
}
