// nextest counts ignored tests as skipped but does not say why they are ignored; the attribute does.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { filesUnder } from './stamp.mjs'

/** Tests with an ignore attribute under a folder of crates, with its reason. */
export function ignoredTests(folder) {
  return filesUnder([folder])
    .filter((file) => file.endsWith('.rs'))
    .flatMap((file) => {
      const pattern = /#\[ignore(?:\s*=\s*"([^"]*)")?\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\s+)?(?:async\s+)?fn\s+(\w+)/g
      return [...readFileSync(file, 'utf8').matchAll(pattern)].map(([, reason, name]) => ({
        name: `${relative(folder, file)}: ${name}`,
        reason,
      }))
    })
}
