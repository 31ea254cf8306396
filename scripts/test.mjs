// `npm test`: sets up what is missing, then every suite. The last line is `N passed, N failed`, with `, N skipped` where there are any.
//
//   npm test -- --only rust,node     some suites; their names are those of the table at the end
import { say, seconds } from './lib/log.mjs'
import { inCi } from './lib/paths.mjs'
import { explain, setup } from './setup.mjs'
import { expectedSkips, suites } from './suites.mjs'

/** Judges one suite's counts: an empty suite fails, and so does, in CI, a skip that nobody has agreed to. */
export function judge(suite, counts, { ci, expected }) {
  const problems = []
  if (counts.failed > 0) problems.push(`${counts.failed} failed`)
  if (counts.passed + counts.failed === 0 && !suite.mayBeEmpty) problems.push('ran no test')
  for (const { name, reason } of counts.skipped) {
    const agreed = expected.some((row) => row.suite === suite.name && row.name === name)
    if (ci && !agreed)
      problems.push(
        `skipped without being listed in scripts/expected-skips.json: ${name} (${reason ?? 'no reason given'})`,
      )
  }
  // Each problem that is no failed test counts as one failure, so that the last line tells the truth.
  return { problems, failed: counts.failed + problems.length - (counts.failed > 0 ? 1 : 0) }
}

function chosen(suites, argv) {
  const at = argv.indexOf('--only')
  if (at === -1) return suites
  const names = (argv[at + 1] ?? '').split(',')
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name))
  if (unknown.length > 0) {
    say(`Unknown suite ${unknown.join(', ')}; expected some of ${suites.map(({ name }) => name).join(', ')}.`)
    process.exit(2)
  }
  return suites.filter(({ name }) => names.includes(name))
}

async function runSuite(suite, options) {
  console.log(`\n== ${suite.name}`)
  const started = Date.now()
  let counts
  try {
    counts = await suite.run()
  } catch (error) {
    console.log(error.stack)
    counts = { passed: 0, failed: 1, skipped: [] }
  }
  for (const { name, reason } of counts.skipped) console.log(`skipped ${name}: ${reason ?? 'no reason given'}`)
  return { name: suite.name, ...counts, ...judge(suite, counts, options), took: Date.now() - started }
}

function summarise(results) {
  console.log('\nsuite       passed  failed  skipped     time')
  for (const { name, passed, failed, skipped, took, problems } of results) {
    const cells = [
      name.padEnd(10),
      String(passed).padStart(8),
      String(failed).padStart(8),
      String(skipped.length).padStart(9),
      seconds(took).padStart(9),
    ]
    console.log(cells.join(''))
    for (const problem of problems) console.log(`            ${problem}`)
  }
  const total = (key) => results.reduce((sum, result) => sum + result[key], 0)
  const skipped = results.reduce((sum, result) => sum + result.skipped.length, 0)
  console.log(`\n${total('passed')} passed, ${total('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return total('failed') === 0
}

async function main() {
  const wanted = chosen(suites, process.argv)
  await setup({ tests: true, cargoOnly: wanted.every((suite) => suite.cargoOnly) }).catch(explain)
  const options = { ci: inCi, expected: expectedSkips() }
  const results = []
  for (const suite of wanted) results.push(await runSuite(suite, options))
  process.exitCode = summarise(results) ? 0 : 1
}

// A bare `node --test` picks this file up by its name: it is a runner, not a test.
if (process.argv[1]?.endsWith('/scripts/test.mjs') && !process.env.NODE_TEST_CONTEXT) await main()
