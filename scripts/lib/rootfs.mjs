// Debian folders to try things in: made by debootstrap, kept in the cache, entered by chroot in a mount namespace of its own, so that
// no mount outlives the command, whatever ends it, and removing a folder can never reach the host through one.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { say } from './log.mjs'
import { fromRoot, inCache } from './paths.mjs'
import { capture, run, tail } from './run.mjs'

/** What is missing to make and enter such folders here, as a sentence; null when nothing is. */
export function rootfsObstacle() {
  if (process.getuid?.() !== 0) return 'root is needed (debootstrap, chroot)'
  if (capture('debootstrap', ['--version']) === null) return 'debootstrap is missing: apt-get install debootstrap'
  if (capture('unshare', ['--mount', '--pid', '--fork', 'true']) === null)
    return 'unshare may not make a mount namespace here'
  return null
}

/** The archive that this machine itself installs from, for another of its releases. */
export function mirror(listing = capture('apt-get', ['indextargets', '--format', '$(REPO_URI) $(COMPONENT)'])) {
  const main = (listing ?? '').split('\n').map((line) => line.split(' '))
  const uri = main.find(([address, component]) => component === 'main' && /\/debian\/?$/.test(address ?? ''))?.[0]
  if (!uri)
    throw new Error(
      'No Debian archive among this machine’s apt sources (apt-get indextargets); run apt-get update first.',
    )
  return uri
}

/** A minimal Debian of that release, made once. */
export async function ensureRootfs(release) {
  const folder = inCache(`beamline-rootfs-${release}`)
  const mark = `${folder}.complete`
  if (existsSync(mark) && existsSync(join(folder, 'etc'))) return folder
  say(`debootstrap ${release} (about a minute) …`)
  rmSync(mark, { force: true })
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const log = fromRoot('build', 'logs', `debootstrap-${release}.log`)
  const { code, output } = await run('debootstrap', ['--variant=minbase', release, folder, mirror()], {
    log,
    timeoutMs: 15 * 60_000,
  })
  if (code !== 0) throw new Error(`debootstrap ${release} failed:\n${tail(output)}`)
  writeFileSync(mark, '')
  return folder
}

/**
 * Runs a shell script inside a folder.
 *
 * @param {string} folder the root file system
 * @param {string} script for /bin/sh, inside
 * @param {object} options
 * @param {{from: string, to: string, writable?: boolean}[]} [options.binds] paths of the host that are seen inside
 * @param {Record<string, string>} [options.env] the environment inside, beside what the network needs
 */
export async function inside(folder, script, { binds = [], env = {}, log, show = false, timeoutMs } = {}) {
  const scratch = mkdtempSync(join(tmpdir(), 'beamline-host-'))
  try {
    const all = [...binds, ...clientConfiguration(scratch)].filter(({ from }) => existsSync(from))
    const lines = [
      'set -e',
      `mount -t proc proc ${quote(join(folder, 'proc'))}`,
      `mount --rbind /dev ${quote(join(folder, 'dev'))}`,
    ]
    for (const bind of all) lines.push(...bindLines(folder, bind))
    lines.push(`exec chroot ${quote(folder)} /bin/sh -c ${quote(script)}`)
    const args = [
      '--mount',
      '--propagation',
      'private',
      '--pid',
      '--fork',
      '--kill-child',
      '/bin/sh',
      '-c',
      lines.join('\n'),
    ]
    return await run('unshare', args, {
      env: { ...networkEnv(), HOME: guestHome, PATH: searchPath, LANG: 'C.UTF-8', ...env },
      log,
      show,
      timeoutMs,
    })
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Home folder inside. */
export const guestHome = '/home/newcomer'

const searchPath = '/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const quote = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`

function bindLines(folder, { from, to, writable = false }) {
  const target = quote(join(folder, to))
  const make = `if [ -d ${quote(from)} ]; then mkdir -p ${target}; else mkdir -p ${quote(dirname(join(folder, to)))}; [ -e ${target} ] || touch ${target}; fi`
  const lines = [make, `mount --bind ${quote(from)} ${target}`]
  if (!writable) lines.push(`mount -o remount,bind,ro ${target}`)
  return lines
}

/**
 * How this machine's clients (apt, npm, cargo) reach their registries. Bound, not copied: whatever stands in them does not stay in the
 * cache, and nothing here reads it.
 */
function clientConfiguration(scratch) {
  const apt = join(scratch, 'apt.conf')
  writeFileSync(apt, capture('apt-config', ['dump', 'Acquire']) ?? '')
  const npmGlobal = capture('npm', ['config', 'get', 'globalconfig'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
  return [
    { from: apt, to: '/etc/apt/apt.conf.d/90host' },
    { from: '/etc/apt/auth.conf.d', to: '/etc/apt/auth.conf.d' },
    { from: '/etc/resolv.conf', to: '/etc/resolv.conf' },
    { from: '/etc/hosts', to: '/etc/hosts' },
    { from: '/etc/ssl/certs/ca-certificates.crt', to: '/etc/ssl/certs/ca-certificates.crt' },
    { from: join(homedir(), '.npmrc'), to: `${guestHome}/.npmrc` },
    ...(npmGlobal ? [{ from: npmGlobal, to: '/usr/local/etc/npmrc' }] : []),
    { from: join(cargoHome, 'config.toml'), to: `${guestHome}/.cargo/config.toml` },
  ]
}

/** Variables by which a network is reached; nothing else of our environment goes inside. */
function networkEnv() {
  const wanted = /_proxy$|^(SSL_CERT_|NODE_EXTRA_CA_CERTS$|CARGO_(NET|HTTP|REGISTR|SOURCE))|^(CI|TERM)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => wanted.test(name)))
}

/** The Rust toolchain in use, seen inside as /opt/rust. */
export const rustBind = () => ({ from: capture('rustc', ['--print', 'sysroot']), to: '/opt/rust' })
