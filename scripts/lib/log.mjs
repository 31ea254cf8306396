// What people see of the set-up: one line for each step, on stderr; stdout belongs to data.

const terminal = process.stderr.isTTY

export const say = (text) => process.stderr.write(`${text}\n`)

export const seconds = (ms) => (ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`)

/** A failure that has already an explanation for people; the exit code goes with it. */
export class SetupError extends Error {
  constructor(message, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** One step of many: `working` may be called once, `done` closes the line. */
export function step(index, count, title) {
  const head = `setup ${index}/${count}  ${title.padEnd(16)}`
  const started = Date.now()
  let open = false
  return {
    working(what) {
      open = terminal
      process.stderr.write(`${head}  ${what} …${terminal ? '' : '\n'}`)
    },
    done(what) {
      const took = Date.now() - started
      process.stderr.write(`${open ? '\r\x1b[K' : ''}${head}  ${what}${took > 1500 ? ` (${seconds(took)})` : ''}\n`)
      open = false
    },
    failed() {
      if (open) process.stderr.write('\n')
      open = false
    },
  }
}
