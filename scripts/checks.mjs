// `npm run checks`: the house rules that no compiler looks at. Each is one file in checks/ and is shown to fail in checks/checks.test.mjs.
import { pathToFileURL } from 'node:url'
import { root } from './lib/paths.mjs'

/** One row for each check, quick ones first. */
export const checkNames = [
  'arrows',
  'unsafe',
  'file-size',
  'file-names',
  'third-party',
  'prettier',
  'publint',
  'generated',
  'contract',
  'contract-docs',
]

/** Runs all; prints what is wrong. Returns how many passed and which failed. */
export async function runChecks(base = root, print = console.log) {
  const result = { passed: 0, failed: 0 }
  for (const name of checkNames) {
    const { check, title } = await import(`./checks/${name}.mjs`)
    const problems = await check(base)
    print(`${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name}: ${title}`)
    for (const problem of problems) print(`     ${problem}`)
    result[problems.length === 0 ? 'passed' : 'failed'] += 1
  }
  return result
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { failed } = await runChecks()
  const { notice } = await import('./checks/matrix-hash.mjs')
  const line = notice(root)
  if (line) console.log(line)
  process.exitCode = failed > 0 ? 1 : 0
}
