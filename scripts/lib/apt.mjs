// Debian packages: which are wanted, which are missing, and by which way they may be installed.
import { existsSync, readFileSync } from 'node:fs'
import { capture, run, attached } from './run.mjs'

const buildPackages = [
  'gcc',
  'g++',
  'make',
  'libc6-dev',
  'pkg-config',
  'libavcodec-dev',
  'libavformat-dev',
  'libavutil-dev',
  'libswscale-dev',
  'libswresample-dev',
]
const testPackages = ['ffmpeg']
const certificates = '/etc/ssl/certs/ca-certificates.crt' // cargo reads it; a company's own bundle serves as well as the package's

export const hasDpkg = () => capture('dpkg-query', ['--version']) !== null

function installed(pattern) {
  const list = capture('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Package}\n', ...pattern], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return list ?? ''
}

function isInstalled(name) {
  return installed([name])
    .split('\n')
    .some((line) => line === `installed ${name}`)
}

/** bindgen needs one libclang; any version that is there will do. */
const hasLibclang = () => /^installed libclang1?-\d/m.test(installed(['libclang*']))

/** Names of what is missing; libclang's is found after an update, so here it is only a flag. */
export function missingPackages({ tests = false } = {}) {
  const names = [...buildPackages, ...(tests ? testPackages : [])].filter((name) => !isInstalled(name))
  if (!existsSync(certificates) && !isInstalled('ca-certificates')) names.push('ca-certificates')
  return { names, libclang: !hasLibclang() }
}

/** Debian 12 has several; 14 is the one that its other packages use, so it is the smallest download. Elsewhere the newest. */
export function libclangPackage(
  release = osRelease(),
  search = () => capture('apt-cache', ['search', '--names-only', '^libclang1-[0-9]+$']),
) {
  if (release.ID === 'debian' && release.VERSION_ID === '12') return 'libclang1-14'
  const versions = [...(search() ?? '').matchAll(/^libclang1-(\d+)\b/gm)].map((match) => Number(match[1]))
  return versions.length > 0 ? `libclang1-${Math.max(...versions)}` : 'libclang-dev'
}

export function osRelease(text = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '') {
  return Object.fromEntries([...text.matchAll(/^(\w+)="?(.*?)"?$/gm)].map((match) => [match[1], match[2]]))
}

/** How root is reached here: `prefix` goes before apt-get, `ask` needs the terminal. Null: not at all. */
export function privilege() {
  if (process.getuid?.() === 0) return { prefix: [], ask: false }
  if (capture('sudo', ['-n', 'true']) !== null) return { prefix: ['sudo', '-n'], ask: false }
  const canAsk = process.stdin.isTTY && capture('sudo', ['--version']) !== null
  return canAsk ? { prefix: ['sudo'], ask: true } : null
}

/** The line that a person can run by hand. */
export const manualLine = (names) =>
  `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names.join(' ')}`

/** Runs apt-get; the terminal is ours only when sudo asks there. */
export async function aptGet({ prefix, ask }, args, log) {
  const [command, ...rest] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]
  if (ask) return { code: await attached(command, rest), output: '' }
  return run(command, rest, { log })
}
