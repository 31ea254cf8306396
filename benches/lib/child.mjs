// Child processes with their CPU: user + system of the whole process from its start to its end, as wait4 tells the shell (`time`).
import { spawn } from 'node:child_process'
import { root } from '../../scripts/lib/paths.mjs'

// `time` speaks to the shell's own stderr, which is kept apart (3) from what the command says.
const TIMED = 'TIMEFORMAT="%R %U %S"; { time "$@" 2>&4 ; } 2>&3'

/** Folders of the machine, as they stand in results: they are nobody's business, and others elsewhere. */
const plain = (text) =>
  text.replaceAll(process.execPath, 'node').replaceAll('/dev/shm/beamline-bench', '$TMPFS').replaceAll(`${root}/`, '')

/** The command line as people would type it. */
export const line = (argv) =>
  argv
    .map(plain)
    .map((a) => (/^[\w./:=,+@%$-]+$/.test(a) ? a : `'${a}'`))
    .join(' ')

/** `argv` on those cores alone. */
export const pinned = (cores, argv) => ['taskset', '-c', cores, ...argv]

/**
 * Runs a command to its end. Throws when it fails.
 *
 * @param {string[]} argv
 * @returns {Promise<{wallMs: number, cpuMs: number, stdout: string}>}
 */
export function timed(argv, { env = {}, onStdout } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', TIMED, 'timed', ...argv], {
      cwd: root,
      env: { ...process.env, ...env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'inherit', 'pipe', 'pipe'],
    })
    const text = ['', '', '', '', '']
    for (const fd of [1, 3, 4]) {
      child.stdio[fd].setEncoding('utf8').on('data', (data) => {
        text[fd] += data
        if (fd === 1) onStdout?.(data)
      })
    }
    child.on('error', reject)
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`${line(argv)} ended with ${code}:\n${text[4].slice(-2000)}`))
      const [wall, user, system] = text[3].trim().split('\n').at(-1).split(' ').map(Number)
      resolve({ wallMs: wall * 1000, cpuMs: Math.round((user + system) * 1000), stdout: text[1] })
    })
  })
}

/** A script of ours in `benches/work/`, by this Node. */
export const work = (name, ...args) => [process.execPath, `benches/work/${name}.mjs`, ...args.map(String)]

/** Runs such a script; its last line on stdout is JSON. */
export async function answer(argv, options) {
  const { stdout, ...rest } = await timed(argv, options)
  return { ...rest, ...JSON.parse(stdout.trim().split('\n').at(-1)) }
}
