// The suites of `npm test`, in the order in which they run: what fails fast comes first.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runChecks } from './checks.mjs'
import { notice } from './checks/matrix-hash.mjs'
import { runFuzz } from './fuzz.mjs'
import { cachedTarget, cargoEnv } from './lib/cargo.mjs'
import { cargoTest, nextest, sum, withExit } from './lib/counts.mjs'
import { bin, fromRoot, root } from './lib/paths.mjs'
import { capture, run } from './lib/run.mjs'
import { ignoredTests } from './lib/rust-ignored.mjs'
import { compileSpecs, runNodeTests, runSpecs, specRules } from './lib/specs.mjs'
import { filesUnder } from './lib/stamp.mjs'

const none = { passed: 0, failed: 0, skipped: [] }
const logOf = (name) => fromRoot('build', 'logs', `test-${name}.log`)

/** A command that is one test: it passes or it fails. */
async function single(name, command, args, env = cargoEnv()) {
  const { code } = await run(command, args, { log: logOf(name), show: true, env, timeoutMs: 30 * 60_000 })
  return code === 0 ? { ...none, passed: 1 } : { ...none, failed: 1 }
}

const fmt = () => single('fmt', 'cargo', ['fmt', '--all', '--check'])
const clippy = () => single('clippy', 'cargo', ['clippy', '--workspace', '--all-targets', '--', '-D', 'warnings'])

async function checks() {
  const files = filesUnder([fromRoot('scripts')]).filter((file) => file.endsWith('.test.mjs'))
  const proven = await runNodeTests(files, { label: 'checks' })
  const held = await runChecks(root)
  const line = notice(root)
  if (line) console.log(line)
  return sum([proven, { ...held, skipped: [] }])
}

async function rust() {
  const hasNextest = capture('cargo', ['nextest', '--version']) !== null
  const [args, count] = hasNextest
    ? [
        [
          'nextest',
          'run',
          '--workspace',
          '--no-fail-fast',
          '--status-level',
          'fail',
          '--final-status-level',
          'fail',
          '--no-tests',
          'pass',
        ],
        nextest,
      ]
    : [['test', '--workspace', '--lib', '--bins', '--tests', '--no-fail-fast'], cargoTest]
  const { code, output } = await run('cargo', args, {
    log: logOf('rust'),
    show: true,
    env: cargoEnv(),
    timeoutMs: 40 * 60_000,
  })
  // Skips come from the sources, not from the runner: one says why, the other does not, and CI's list must fit both.
  return { ...withExit(count(output), code), skipped: ignoredTests(fromRoot('crates')) }
}

async function loom() {
  if (!existsSync(fromRoot('crates', 'arena', 'tests', 'loom.rs'))) return none
  // A target folder of its own: the flag would rebuild everything each time the two take turns.
  const env = cargoEnv({ RUSTFLAGS: '--cfg loom', CARGO_TARGET_DIR: cachedTarget('loom') })
  const models = ['loom', 'loom_grant', 'loom_news'].flatMap((name) => ['--test', name])
  const args = ['test', '-p', 'beamline-arena', '--release', ...models]
  const { code, output } = await run('cargo', args, { log: logOf('loom'), show: true, env, timeoutMs: 30 * 60_000 })
  return withExit(cargoTest(output), code)
}

async function docs() {
  const args = ['test', '--doc', '--workspace', '--no-fail-fast']
  const { code, output } = await run('cargo', args, {
    log: logOf('docs'),
    show: false,
    env: cargoEnv(),
    timeoutMs: 20 * 60_000,
  })
  if (code !== 0) console.log(output)
  return withExit(cargoTest(output), code)
}

/** Every mode of one spec suite; a suite that does not compile has failed once. */
async function specs(suite) {
  const broken = await compileSpecs()
  if (broken) {
    console.log(broken)
    return { ...none, failed: 1 }
  }
  const parts = []
  for (const mode of specRules.find((rule) => rule.suite === suite).modes) {
    if (mode) console.log(`-- BEAMLINE_ZERO_COPY=${mode}`)
    const counts = await runSpecs(suite, mode)
    parts.push(mode && counts.passed + counts.failed === 0 ? { ...counts, failed: 1 } : counts)
  }
  return sum(parts)
}

/** The types are right when every file of __test__/types compiles, its `@ts-expect-error` lines included. */
async function types() {
  const folder = fromRoot('__test__', 'types')
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.test-d.ts')) : []
  if (files.length === 0) return none
  const { code, output } = await run(bin('tsc'), ['-p', join('__test__', 'types', 'tsconfig.json')], {
    log: logOf('types'),
    show: true,
  })
  const broken = files.filter((name) => output.includes(name))
  return withExit({ passed: files.length - broken.length, failed: broken.length, skipped: [] }, code)
}

/**
 * `mayBeEmpty`: the suite is allowed to have no test; else an empty one fails.
 * `cargoOnly`: it needs no npm package and no build of ours, so `--only` with such suites alone runs while the package does not build.
 */
export const suites = [
  { name: 'checks', run: checks },
  { name: 'fmt', run: fmt, cargoOnly: true },
  { name: 'clippy', run: clippy, cargoOnly: true },
  { name: 'types', run: types },
  { name: 'node', run: () => specs('node') },
  { name: 'package', run: () => specs('package') },
  { name: 'readme', run: () => specs('readme') },
  { name: 'tooling', run: () => specs('tooling'), mayBeEmpty: true },
  { name: 'rust', run: rust, cargoOnly: true },
  { name: 'docs', run: docs, mayBeEmpty: true, cargoOnly: true },
  { name: 'loom', run: loom, cargoOnly: true },
  { name: 'fuzz', run: () => runFuzz(), cargoOnly: true },
]

/** Skips that CI accepts: `{ suite, name, why }`. */
export const expectedSkips = () => JSON.parse(readFileSync(fromRoot('scripts', 'expected-skips.json'), 'utf8'))
