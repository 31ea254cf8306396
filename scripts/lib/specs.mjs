// The TypeScript tests: which files there are, in which modes they run, and how they are compiled and run.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { bin, fromRoot } from './paths.mjs'
import { contentHash, filesUnder, isFresh, clearStamp, writeStamp } from './stamp.mjs'
import { nodeTests, withExit } from './counts.mjs'
import { run } from './run.mjs'

export const zeroCopyModes = ['external', 'wasm', 'copy']

/**
 * Which suite a spec belongs to, and in which modes it runs: the first row whose folder fits.
 * `null` as mode means: once, and the package chooses.
 */
export const specRules = [
  { folder: 'package/', suite: 'package', modes: [null] }, // packs, installs and loads: the mode changes nothing
  { folder: 'cli/', suite: 'package', modes: [null] }, // processes of their own
  { folder: 'examples/', suite: 'readme', modes: [null] },
  { folder: 'readme/', suite: 'readme', modes: [null] }, // examples run as pasted
  { folder: 'readers/', suite: 'package', modes: [null] }, // processes of all three modes at once
  { folder: 'tooling/', suite: 'tooling', modes: [null] },
  { folder: 'flips/', suite: 'tooling', modes: [null] }, // minutes of damaged films: the mode changes nothing
  { folder: '', suite: 'node', modes: zeroCopyModes },
]

const built = () => fromRoot('build', 'test')

/** Compiles __test__/ to build/test; an error text when it does not compile. */
export async function compileSpecs() {
  const inputs = ['__test__', 'index.d.ts', 'tsconfig.json', 'package.json', 'package-lock.json']
  const hash = contentHash(inputs.map((name) => fromRoot(name)))
  if (isFresh('specs', hash)) return null
  clearStamp('specs')
  rmSync(built(), { recursive: true, force: true }) // a spec that is gone must not run on
  const { code, output } = await run(bin('tsc'), ['-p', '__test__/tsconfig.json'], {
    log: fromRoot('build', 'logs', 'tsc-specs.log'),
  })
  if (code !== 0) return output
  writeStamp('specs', hash)
  return null
}

/** Compiled specs of one suite. */
export function specsOf(suite) {
  return filesUnder([built()]).filter((file) => {
    if (!file.endsWith('.spec.js')) return false
    const path = relative(built(), file)
    return specRules.find(({ folder }) => path.startsWith(folder)).suite === suite
  })
}

/** Runs the specs of one suite once, in one mode, with one Node. */
export async function runSpecs(suite, mode, { node = process.execPath, show = true, label = suite } = {}) {
  const files = specsOf(suite)
  if (files.length === 0) return { passed: 0, failed: 0, skipped: [] }
  return runNodeTests(files, {
    node,
    show,
    label: mode ? `${label}-${mode}` : label,
    env: mode ? { BEAMLINE_ZERO_COPY: mode } : {},
  })
}

/** `node --test` over files, counted. */
export async function runNodeTests(files, { node = process.execPath, show = true, label, env = {} }) {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: [] } // without files node would look for some itself
  const scratch = mkdtempSync(join(tmpdir(), 'beamline-report-'))
  const lines = join(scratch, 'tests.jsonl')
  const reporter = fromRoot('scripts', 'lib', 'node-reporter.mjs')
  const args = [
    '--test',
    '--enable-source-maps',
    '--test-timeout=300000',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
  ]
  args.push(`--test-reporter=${reporter}`, `--test-reporter-destination=${lines}`, ...files)
  // A run that starts another must not look like a part of it.
  const { NODE_TEST_CONTEXT: _, ...clean } = process.env
  const log = fromRoot('build', 'logs', `test-${basename(label)}.log`)
  const withNode = { ...clean, PATH: `${dirname(node)}:${process.env.PATH}`, ...env } // what a test starts by name is the same Node
  const { code } = await run(node, args, { log, show, env: withNode, timeoutMs: 25 * 60_000 })
  const counts = withExit(nodeTests(readFileSync(lines, 'utf8')), code)
  rmSync(scratch, { recursive: true, force: true })
  return counts
}
