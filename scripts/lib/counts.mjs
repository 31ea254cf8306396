// What the test runners say at their end, as numbers. Each takes a whole output.

/** @typedef {{passed: number, failed: number, skipped: {name: string, reason?: string}[]}} Counts */

const none = () => ({ passed: 0, failed: 0, skipped: [] })

/** cargo nextest: `Summary [ 1.2s] 10/12 tests run: 9 passed (1 slow), 1 failed, 1 timed out, 2 skipped`. */
export function nextest(output) {
  const line = plain(output).match(/^\s*Summary \[.*?\]\s+(.*)$/m)?.[1]
  if (!line) return none()
  const number = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0)
  return {
    passed: number('passed'),
    failed: number('failed') + number('timed out') + number('exec failed'),
    skipped: [],
  }
}

/** cargo test: one `test result:` line for each binary. */
export function cargoTest(output) {
  const counts = none()
  for (const match of plain(output).matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)) {
    counts.passed += Number(match[1])
    counts.failed += Number(match[2])
  }
  for (const match of plain(output).matchAll(/^test (.+?) \.\.\. ignored(?:, (.*))?$/gm)) {
    counts.skipped.push({ name: match[1], reason: match[2] })
  }
  return counts
}

/** The lines of node-reporter.mjs. */
export function nodeTests(lines) {
  const counts = none()
  for (const line of lines.split('\n').filter(Boolean)) {
    const { outcome, name, file, reason } = JSON.parse(line)
    if (outcome === 'skipped') counts.skipped.push({ name: file ? `${file}: ${name}` : name, reason })
    else counts[outcome] += 1
  }
  return counts
}

/** Sum of several. */
export function sum(list) {
  return {
    passed: list.reduce((total, { passed }) => total + passed, 0),
    failed: list.reduce((total, { failed }) => total + failed, 0),
    skipped: list.flatMap(({ skipped }) => skipped),
  }
}

/** A runner that ended badly without naming a failed test has failed once: it fell over. */
export const withExit = (counts, code) => (code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts)

// Colours, which some runners print even into a pipe.
const plain = (text) => text.replace(/\x1b\[[0-9;]*m/g, '')
