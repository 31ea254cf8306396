// Node processes that a test starts: what ends a process cannot be tested inside one.
import { type ChildProcess, spawn } from 'node:child_process'
import { root } from './media.js'

/** How a child ended and what it said. */
export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  ms: number
}

/** How a child is started. */
export interface ChildOptions {
  flags?: readonly string[]
  env?: Record<string, string | undefined>
  args?: readonly string[]
  cwd?: string
  timeoutMs?: number
  /** Fds that it inherits, as 3, 4, … */
  fds?: readonly number[]
  /** Told of the process and of all that it has printed, each time that it prints. */
  onOutput?(child: ChildProcess, stdout: string): void
}

/** Runs an ES module, given as text, in the package's own folder: `import 'beamline'` finds it. */
export function runModule(code: string, options: ChildOptions = {}): Promise<Ended> {
  return runNode([...(options.flags ?? []), '--input-type=module', '-e', code, '--', ...(options.args ?? [])], options)
}

/** Runs `node` with these arguments. */
export function runNode(args: readonly string[], options: ChildOptions = {}): Promise<Ended> {
  const { cwd = root, timeoutMs = 60_000, onOutput } = options
  const { NODE_TEST_CONTEXT: _, ...env } = { ...process.env, ...options.env }
  const begin = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', ...(options.fds ?? [])] })
    let [stdout, stderr] = ['', '']
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.stdout?.on('data', (data: Buffer) => {
      stdout += String(data)
      onOutput?.(child, stdout)
    })
    child.stderr?.on('data', (data: Buffer) => (stderr += String(data)))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr, ms: performance.now() - begin })
    })
  })
}
