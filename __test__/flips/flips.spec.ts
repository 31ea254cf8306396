// The long run: it takes minutes, and the zero-copy mode changes nothing, so it runs once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runModule } from '../helpers/child.js'
import type { Outcome } from '../helpers/flips.js'

const COUNT = Number(process.env['BEAMLINE_FLIPS'] ?? 10_000)
const PROCESSES = 2

test(`${COUNT} films with flipped bits, in ${PROCESSES} processes: a typed error or pictures of the right size; no crash, no hang`, async () => {
  const share = Math.ceil(COUNT / PROCESSES)
  const helper = new URL('../helpers/flips.js', import.meta.url).href
  const runs = Array.from({ length: PROCESSES }, (_, i) =>
    runModule(
      `import { flip } from ${JSON.stringify(helper)}
       console.log(JSON.stringify(await flip(${1000 + i * share}, ${Math.min(share, COUNT - i * share)})))`,
      { timeoutMs: 280_000 },
    ),
  )
  const total: Outcome = { runs: 0, typed: 0, whole: 0, pictures: 0 }
  for (const { code, signal, stdout, stderr } of await Promise.all(runs)) {
    assert.deepEqual([code, signal], [0, null], stderr.slice(-2000))
    const part = JSON.parse(stdout) as Outcome
    for (const name of ['runs', 'typed', 'whole', 'pictures'] as const) total[name] += part[name]
  }
  console.log(`# flips: ${JSON.stringify(total)}`)
  assert.equal(total.runs, COUNT)
})
