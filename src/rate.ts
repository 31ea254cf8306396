import { argumentError } from './errors.js'

/** A rate as an exact fraction: `{ num: 30000, den: 1001 }`. */
export interface FrameRate {
  /** Numerator. */
  num: number
  /** Denominator, not 0. */
  den: number
}

/** A rate in pictures per second as a number or a fraction; as a fraction. */
export function rateOf(name: string, rate: number | FrameRate): FrameRate {
  const wrong = () => argumentError(name, 'a rate above 0 and up to 1000, as a number or { num, den }', rate)
  if (typeof rate === 'number') {
    if (!(rate > 0 && rate <= 1000)) throw wrong()
    const whole = Math.round(rate)
    if (Math.abs(rate - whole) < 1e-9) return { num: whole, den: 1 }
    const ntsc = Math.round((rate * 1001) / 1000)
    if (Math.abs(rate - (ntsc * 1000) / 1001) < 1e-3) return { num: ntsc * 1000, den: 1001 }
    return { num: Math.max(1, Math.round(rate * 1000)), den: 1000 }
  }
  const { num, den } = rate ?? {}
  const positive = (n: unknown) => Number.isInteger(n) && (n as number) > 0 && (n as number) <= 0xffffffff
  if (!positive(num) || !positive(den) || num / den > 1000) throw wrong()
  return { num, den }
}
