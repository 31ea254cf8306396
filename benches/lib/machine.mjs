// The machine, and how loaded it is: every row tells both, since nothing here is worth more than its circumstances.
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { capture } from '../../scripts/lib/run.mjs'

/** What all rows share. */
export function machine() {
  const dirty = capture('git', ['status', '--porcelain', '--', 'crates', 'src', 'Cargo.lock', 'benches'])
  return {
    date: new Date().toISOString(),
    commit: capture('git', ['rev-parse', '--short=12', 'HEAD']) + (dirty ? ' with changes' : ''),
    cpu: `${cpus()[0].model}, ${cpus().length} cores`,
    kernel: release(),
    node: process.version,
    rust: capture('rustc', ['-V']),
    ffmpeg:
      capture('ffmpeg', ['-version'])
        ?.split('\n')[0]
        .replace(/ Copyright.*/, '') ?? 'none',
  }
}

/** Jiffies since the start: all, not idle, stolen by other guests. */
function jiffies() {
  const [user, nice, system, idle, wait, irq, soft, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number)
  const busy = user + nice + system + irq + soft + steal
  return { all: busy + idle + wait, busy, steal }
}

const round = (n, digits = 2) => Number(n.toFixed(digits))

/** How much of the machine others use, in cores, over a moment in which we do nothing. */
export async function others(ms = 500) {
  const before = jiffies()
  await sleep(ms)
  const after = jiffies()
  return round(((after.busy - before.busy) / Math.max(1, after.all - before.all)) * cpus().length)
}

/** Waits, at most `patienceMs`, until others use less than a tenth of a core. Gives what they use then. */
export async function quiet(patienceMs = 60_000) {
  const until = Date.now() + patienceMs
  for (;;) {
    const cores = await others()
    if (cores < 0.1 || Date.now() > until) return cores
    await sleep(1500)
  }
}

/** Load averages now, and how much was stolen since `mark`. */
export function load(mark) {
  const now = jiffies()
  const stolen = mark && round(((now.steal - mark.steal) / Math.max(1, now.all - mark.all)) * 100)
  return { loadavg: loadavg().map((n) => round(n)), stolenPercent: stolen, mark: now }
}
