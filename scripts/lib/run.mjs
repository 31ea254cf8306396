// Child processes: quiet ones whose output is wanted, logged ones whose tail is shown on failure, shown ones that are copied through.
import { spawn, spawnSync } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { root } from './paths.mjs'

/** Output of a short command, or null when it could not be run or failed. */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options })
  return result.status === 0 ? result.stdout.trim() : null
}

/**
 * Runs a command to its end and keeps what it printed.
 *
 * @param {object} options
 * @param {string} [options.log] file that gets everything printed
 * @param {boolean} [options.show] copy the output to our stdout as it comes
 * @param {number} [options.timeoutMs] the whole process group is killed after it
 * @param {string} [options.input] what the command reads; nothing otherwise
 * @returns {Promise<{code: number, output: string, timedOut: boolean}>} `code` is 128 + signal after a signal
 */
export function run(command, args, { cwd = root, env = process.env, log, show = false, timeoutMs, input } = {}) {
  return new Promise((settle) => {
    const chunks = []
    let timedOut = false
    if (log) mkdirSync(dirname(log), { recursive: true })
    const file = log && createWriteStream(log)
    // A group of its own: a time-out must also end what the command has started.
    const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    live.add(child)
    child.stdin.on('error', () => {}) // the command may end before it has read
    child.stdin.end(input ?? '')
    const timer = timeoutMs && setTimeout(() => ((timedOut = true), killGroup(child)), timeoutMs)
    const take = (data) => {
      chunks.push(data)
      file?.write(data)
      if (show) process.stdout.write(data)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    const finish = (code, note) => {
      clearTimeout(timer)
      live.delete(child)
      if (note) take(Buffer.from(`${note}\n`))
      file?.end()
      settle({ code, output: Buffer.concat(chunks).toString('utf8'), timedOut })
    }
    child.on('error', (error) => finish(127, `${command}: ${error.message}`))
    child.on('close', (code, signal) =>
      finish(
        code ?? 128 + (signalNumbers[signal] ?? 0),
        timedOut && `${command}: killed after ${Math.round(timeoutMs / 1000)} s`,
      ),
    )
  })
}

/** A command on our own terminal; Ctrl-C reaches it directly, and we wait for its end. */
export function attached(command, args, { cwd = root, env = process.env } = {}) {
  return new Promise((settle) => {
    const ignore = () => {}
    process.on('SIGINT', ignore)
    const child = spawn(command, args, { cwd, env, stdio: 'inherit' })
    const pass = () => child.kill('SIGTERM')
    process.on('SIGTERM', pass)
    const finish = (code) => {
      process.off('SIGINT', ignore)
      process.off('SIGTERM', pass)
      settle(code)
    }
    child.on('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`)
      finish(127)
    })
    child.on('close', (code, signal) => finish(code ?? 128 + (signalNumbers[signal] ?? 0)))
  })
}

/** The last lines of an output, for people. */
export const tail = (text, lines = 30) => text.trimEnd().split('\n').slice(-lines).join('\n')

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 }

const live = new Set()

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

// Detached groups do not get the terminal's Ctrl-C, so it is passed on.
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
]) {
  process.on(signal, () => {
    if (live.size === 0) {
      if (process.listenerCount(signal) === 1) process.exit(128 + number)
      return
    }
    for (const child of live) killGroup(child)
    process.exit(128 + number)
  })
}
