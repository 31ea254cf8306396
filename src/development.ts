/** Whether mistakes are looked for that cost time to find (`BEAMLINE_DEV=1`). */
export const inDevelopment = process.env['BEAMLINE_DEV'] === '1'

/** Says that a script has stored into a frame that another process owns. Called once per process. */
export function warnOfStrays(): void {
  process.emitWarning('JavaScript has stored into the planes of a frame that another process owns', {
    type: 'BeamlineStrayWrite',
    code: 'BEAMLINE_STRAY_WRITE',
    detail: 'nobody else saw it, and it was undone; call frame.writable() for a frame that may be written',
  })
}
