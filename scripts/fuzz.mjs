// `npm run fuzz`: every target of fuzz/Cargo.toml for 60 s (FUZZ_SECONDS overrides), two at a time. New inputs are kept in the user's
// cache, so that the next run goes on where this one stopped; a crash is printed as hex, to become a test.
//
//   npm run fuzz [-- TARGET…]
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildFuzz, fuzzTargets } from './lib/fuzz-build.mjs'
import { fromRoot, inCache } from './lib/paths.mjs'
import { run, tail } from './lib/run.mjs'

const atOnce = 2
const longestPrinted = 4096

/** Runs the targets; one test each. */
export async function runFuzz(only = []) {
  const targets = fuzzTargets().filter((name) => only.length === 0 || only.includes(name))
  if (targets.length === 0) return { passed: 0, failed: 0, skipped: [] }
  const built = await buildFuzz()
  if (built.code !== 0) {
    console.log(tail(built.output, 60))
    return { passed: 0, failed: targets.length, skipped: [] }
  }
  const waiting = [...targets]
  const results = []
  const worker = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) results.push(await runTarget(name, built))
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const passed = results.filter(Boolean).length
  return { passed, failed: results.length - passed, skipped: [] }
}

async function runTarget(name, { folder, asan }) {
  const seconds = Number(process.env.FUZZ_SECONDS ?? 60)
  const corpus = join(inCache('beamline-fuzz'), name)
  mkdirSync(corpus, { recursive: true })
  const artifacts = mkdtempSync(join(tmpdir(), `beamline-fuzz-${name}-`))
  const [seeds, dictionary] = [fromRoot('fuzz', 'seeds', name), fromRoot('fuzz', 'dict', `${name}.dict`)]
  const args = [
    `-max_total_time=${seconds}`,
    '-timeout=25',
    '-rss_limit_mb=4096',
    '-print_final_stats=1',
    `-artifact_prefix=${artifacts}/`,
  ]
  if (existsSync(dictionary)) args.push(`-dict=${dictionary}`)
  args.push(corpus)
  if (existsSync(seeds)) args.push(seeds)
  const log = fromRoot('build', 'logs', `fuzz-${name}.log`)
  const { code, output } = await run(join(folder, name), args, { log, timeoutMs: (seconds + 120) * 1000 })
  const executions = Number(/stat::number_of_executed_units:\s*(\d+)/.exec(output)?.[1] ?? 0)
  const covered = [...output.matchAll(/\bcov: (\d+)/g)].map((match) => Number(match[1]))
  const guided = covered.length > 0 ? `${covered[0]}→${covered.at(-1)}` : 'none'
  console.log(`target=${name} executions=${executions} asan=${asan ? 'yes' : 'no'} coverage=${guided}`)
  // Nothing executed, or no coverage, means that the build is wrong: it would find nothing, ever.
  const good = code === 0 && executions > 0 && covered.length > 0
  if (!good) explainCrash(name, output, artifacts)
  rmSync(artifacts, { recursive: true, force: true })
  return good
}

function explainCrash(name, output, artifacts) {
  console.log(tail(output, 40))
  for (const file of readdirSync(artifacts)) {
    const bytes = readFileSync(join(artifacts, file))
    const more = bytes.length > longestPrinted ? ` … (${bytes.length} bytes)` : ''
    console.log(
      `${name}: ${file.split('-')[0]} on this input:\n${bytes.subarray(0, longestPrinted).toString('hex')}${more}`,
    )
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { passed, failed } = await runFuzz(process.argv.slice(2))
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}
