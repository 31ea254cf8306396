// `npm run third-party`: writes the list of crates in THIRD-PARTY.md from Cargo.lock, as far as they end up in the addon.
// `--check` only tells whether the list is right.
import { readFileSync, writeFileSync } from 'node:fs'
import { check, listed, withList } from './checks/third-party.mjs'
import { fromRoot, root } from './lib/paths.mjs'

if (process.argv.includes('--check')) {
  const problems = check(root)
  for (const problem of problems) console.log(problem)
  process.exitCode = problems.length > 0 ? 1 : 0
} else {
  const path = fromRoot('THIRD-PARTY.md')
  writeFileSync(path, withList(readFileSync(path, 'utf8'), listed(root)))
  process.stderr.write('THIRD-PARTY.md written\n')
}
