/** What a caller can do about an error; the finer class is {@link BeamlineError.reason}. */
export type ErrorCode =
  | 'InvalidState'
  | 'InvalidConfig'
  | 'NotSupported'
  | 'NotFound'
  | 'DeviceLost'
  | 'Busy'
  | 'PermissionDenied'
  | 'Data'
  | 'Quota'
  | 'Timeout'
  | 'Aborted'
  | 'Internal'

/** The parts of a {@link BeamlineError} besides its message. */
export interface BeamlineErrorInit {
  /** What the caller can do next. */
  code: ErrorCode
  /** The finer class, kebab-case. */
  reason: string
  /** What to do, in a sentence. */
  hint?: string | undefined
  /** What caused it. */
  cause?: unknown
}

/**
 * An error of everything outside the W3C's WebCodecs text (there, `DOMException` and `TypeError` are thrown as it says).
 *
 * `message` is a sentence that names what was expected and what came.
 */
export class BeamlineError extends Error {
  /** What the caller can do next: one of about twelve codes. */
  readonly code: ErrorCode
  /** The finer class in kebab-case, such as `truncated` or `frames-not-closed`. */
  readonly reason: string
  /** What to do, in a sentence; `undefined` where the message says all. */
  readonly hint: string | undefined

  /** Makes an error; `message` is a sentence. */
  constructor(message: string, init: BeamlineErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.name = 'BeamlineError'
    this.code = init.code
    this.reason = init.reason
    this.hint = init.hint
  }
}

/** An argument that cannot be right. */
export function argumentError(name: string, expected: string, got: unknown): BeamlineError {
  return new BeamlineError(`expected ${expected} for '${name}' but received ${show(got)}`, {
    code: 'InvalidConfig',
    reason: 'invalid-argument',
  })
}

/** A value as a message shows it: short. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return `an instance of ${value.constructor?.name ?? 'Object'}`
  return String(value)
}
