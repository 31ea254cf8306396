import { BeamlineError } from './errors.js'

/** Why a loop over a capture starves, as the native side tells it: the other loop that makes the source wait. */
export interface HeldUp {
  /** Where that loop was made. */
  label: string | null
  /** Frames that wait in its queue. */
  waiting: number
  /** Frames of it that are open. */
  open: number
  /** Whether its frames have to be closed; else they have to be taken. */
  unclosed: boolean
  /** How long it has been so, in µs. */
  forUs: number
}

/** The same as it is thrown. */
export function heldUpError(held: HeldUp, timeoutMs: number): BeamlineError {
  const begin = `no frame came within ${timeoutMs} ms: the source waits for another loop over this capture, `
  const place = held.label ?? 'elsewhere'
  if (held.unclosed) {
    return new BeamlineError(`${begin}of which ${held.open} frames are open`, {
      code: 'Quota',
      reason: 'frames-not-closed',
      hint: `close frames when you are done (frame.close(), or \`using\`): ${held.open} frames are open that came from the loop made at ${place}`,
    })
  }
  return new BeamlineError(`${begin}which is open and not read, with ${held.waiting} frames in its queue`, {
    code: 'Quota',
    reason: 'loop-not-read',
    hint: `read the loop made at ${place}, or end it (break, return()), or give it a policy that drops ('latest', 'drop-oldest', 'drop-newest')`,
  })
}
