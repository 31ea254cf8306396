// Makes a checkout runnable: tools, system libraries, npm packages, the native addon, the TypeScript build. Only what is missing or
// changed is done, so a second run takes seconds. Runs before `npm ci`: Node built-ins only.
//
//   node scripts/setup.mjs [--tests] [--no-apt]
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { aptGet, hasDpkg, libclangPackage, manualLine, missingPackages, privilege } from './lib/apt.mjs'
import { cargoEnv } from './lib/cargo.mjs'
import { say, SetupError, step } from './lib/log.mjs'
import { bin, fromRoot, inCi, platform, root } from './lib/paths.mjs'
import { capture, run, tail } from './lib/run.mjs'
import { clearStamp, contentHash, isFresh, writeStamp } from './lib/stamp.mjs'

const leastNode = '20.17.0'
const leastRust = '1.88.0' // rust-version in Cargo.toml

const steps = [
  ['tools', checkTools],
  ['system libraries', installSystem],
  ['npm packages', installNpm],
  ['native addon', buildNative],
  ['TypeScript', buildTypeScript],
]

/**
 * Sets up all that is missing. Throws a `SetupError` whose message tells what to do.
 *
 * @param {object} options
 * @param {boolean} [options.tests] also what only the tests use (the ffmpeg command)
 * @param {boolean} [options.apt] look at the system's packages
 * @param {boolean} [options.cargoOnly] only what Rust work needs: neither npm packages nor builds
 */
export async function setup({ tests = false, apt = true, cargoOnly = false } = {}) {
  const wanted = cargoOnly ? steps.slice(0, 2) : steps
  for (const [index, [title, work]] of wanted.entries()) {
    const line = step(index + 1, wanted.length, title)
    try {
      line.done(await work(line, { tests, apt }))
    } catch (error) {
      line.failed()
      throw error
    }
  }
}

export function atLeast(version, least) {
  const parse = (text) => text.split('.').map((part) => Number.parseInt(part, 10))
  const [have, want] = [parse(version), parse(least)]
  const different = want.findIndex((part, index) => (have[index] ?? 0) !== part)
  return different === -1 || (have[different] ?? 0) > want[different]
}

async function checkTools() {
  if (!atLeast(process.versions.node, leastNode)) {
    throw new SetupError(
      `Node ${leastNode} or newer is needed; this is ${process.versions.node} (${process.execPath}).`,
    )
  }
  const rustc = capture('rustc', ['-V'])?.match(/^rustc (\S+)/)?.[1]
  if (!rustc || capture('cargo', ['-V']) === null || !atLeast(rustc, leastRust)) {
    const found = rustc ? `this is ${rustc}` : 'none was found on the PATH'
    throw new SetupError(
      `Rust ${leastRust} or newer is needed; ${found}.\n` +
        'Get it with rustup (https://rustup.rs): `rustup toolchain install stable`, then `rustup default stable`, and open a new shell.',
    )
  }
  return `node ${process.versions.node}, rust ${rustc}`
}

async function installSystem(line, { tests, apt }) {
  if (!apt) return 'not looked at (--no-apt)'
  if (!hasDpkg()) {
    const found = capture('pkg-config', ['--modversion', 'libavcodec', 'libavformat', 'libswscale', 'libswresample'])
    if (found) return 'no Debian system; FFmpeg’s development files were found'
    throw new SetupError(
      'This is no Debian system, so nothing can be installed here. Install a C compiler, pkg-config, libclang and the\n' +
        'development files of FFmpeg 5.1 or newer (libavcodec, libavformat, libavutil, libswscale, libswresample), then run this again.',
    )
  }
  const { names, libclang } = missingPackages({ tests })
  if (names.length === 0 && !libclang) return 'all there'
  const way = privilege()
  if (!way) {
    const line = manualLine(libclang ? [...names, libclangPackage()] : names)
    throw new SetupError(
      `Debian packages are missing, and there is neither root nor sudo to install them. Run this once:\n\n  ${line}\n`,
      2,
    )
  }
  line.working('apt-get update')
  const log = logFile('apt')
  const updated = await aptGet(way, ['update', '-q'], log)
  if (updated.code !== 0)
    fail('apt-get update', updated.output, log, 'Check the network and /etc/apt/sources.list*, then run this again.')
  const wanted = libclang ? [...names, libclangPackage()] : names
  line.working(`apt-get install ${wanted.join(' ')}`)
  const done = await aptGet(way, ['install', '-y', '-q', '--no-install-recommends', ...wanted], log)
  if (done.code !== 0) fail('apt-get install', done.output, log, `Run it by hand to see more:\n  ${manualLine(wanted)}`)
  return `installed ${wanted.join(' ')}`
}

async function installNpm(line) {
  const hash = contentHash([fromRoot('package-lock.json'), fromRoot('.npmrc')], [process.versions.modules])
  if (isFresh('npm', hash) && existsSync(fromRoot('node_modules', '.package-lock.json'))) return 'unchanged'
  clearStamp('npm')
  line.working('npm ci')
  const log = logFile('npm-ci')
  // --ignore-scripts: no package of ours needs one, and none should get the chance.
  const done = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { log })
  if (done.code !== 0) fail('npm ci', done.output, log, 'Check the network and your npm registry, then run this again.')
  writeStamp('npm', hash)
  return 'installed'
}

async function buildNative(line) {
  const before = nativeInputs()
  const addon = join(platform.dir, platform.addon)
  const out = fromRoot('build', 'native')
  if (isFresh('native', before.hash) && existsSync(addon) && existsSync(join(out, 'binding.d.ts'))) return 'unchanged'
  clearStamp('native')
  line.working('cargo build --release (about two minutes the first time)')
  const log = logFile('native')
  const args = ['build', '--manifest-path', 'crates/node/Cargo.toml', '--platform', '--release', '-o', 'build/native']
  const lock = inCi ? ['--', '--locked'] : [] // a lock file that does not fit is a mistake there, at a desk it is work
  mkdirSync(out, { recursive: true })
  const done = await run(bin('napi'), [...args, '--no-js', '--dts', 'binding.d.ts', ...lock], { log, env: cargoEnv() })
  if (done.code !== 0)
    fail(
      'The native build',
      done.output,
      log,
      'If the error names a missing header or library, run `node scripts/setup.mjs` again; else it is in the Rust code.',
    )
  // By rename: a process that has the old addon mapped keeps it whole.
  copyFileSync(join(out, platform.addon), `${addon}.new`)
  renameSync(`${addon}.new`, addon)
  rmSync(join(out, platform.addon))
  const note = takeBinding(join(out, 'binding.d.ts'))
  // cargo may have written Cargo.lock; sources that changed meanwhile were perhaps not seen.
  const after = nativeInputs()
  if (after.sources === before.sources) writeStamp('native', after.hash)
  return `built${note}`
}

/** What the addon is made of: our sources, and everything (the locked dependencies, the compiler, FFmpeg's headers) besides. */
function nativeInputs() {
  const sources = contentHash(['crates', 'Cargo.toml', '.cargo'].map((name) => fromRoot(name)))
  const tools = [capture('rustc', ['-V']) ?? '', capture('pkg-config', ['--modversion', 'libavcodec']) ?? '']
  return { sources, hash: contentHash([fromRoot('Cargo.lock')], [sources, ...tools]) }
}

/** The committed binding types follow the build while one works; in CI they must already be right (checks/generated.mjs compares). */
function takeBinding(generated) {
  const committed = fromRoot('src', 'native', 'binding.d.ts')
  if (inCi || !existsSync(fromRoot('src'))) return ''
  if (existsSync(committed) && readFileSync(committed, 'utf8') === readFileSync(generated, 'utf8')) return ''
  mkdirSync(fromRoot('src', 'native'), { recursive: true })
  copyFileSync(generated, committed)
  return '; src/native/binding.d.ts has changed, commit it'
}

async function buildTypeScript(line) {
  const hash = contentHash(['src', 'tsconfig.json', 'package-lock.json'].map((name) => fromRoot(name)))
  if (isFresh('typescript', hash) && existsSync(fromRoot('dist', 'index.js'))) return 'unchanged'
  clearStamp('typescript')
  line.working('tsc')
  // What src no longer has must not stay behind: the package would ship it.
  rmSync(fromRoot('dist'), { recursive: true, force: true })
  rmSync(fromRoot('build', 'types'), { recursive: true, force: true })
  const log = logFile('tsc')
  const done = await run(bin('tsc'), ['-p', 'tsconfig.json'], { log })
  if (done.code !== 0) fail('The TypeScript build', done.output, log, 'The errors are in src/.')
  writeStamp('typescript', hash)
  return 'built'
}

const logFile = (name) => fromRoot('build', 'logs', `${name}.log`)

function fail(what, output, log, advice) {
  throw new SetupError(`${what} failed. Its last lines:\n\n${tail(output)}\n\n${advice}\nThe whole log: ${log}`)
}

/** Ends the process as a `SetupError` asks; anything else is a mistake of ours and keeps its stack. */
export function explain(error) {
  if (!(error instanceof SetupError)) throw error
  say(`\n${error.message}`)
  process.exit(error.exitCode)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.chdir(root)
  const has = (flag) => process.argv.includes(flag)
  await setup({ tests: has('--tests'), apt: !has('--no-apt') }).catch(explain)
}
