import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flip } from '../helpers/flips.js'

test('flipped bits in a film: a typed error or pictures of the right size, no leaked slot', async () => {
  const count = Number(process.env['FLIPS'] ?? 300)
  const outcome = await flip(0, count)
  console.log(`# ${JSON.stringify(outcome)}`)
  assert.equal(outcome.runs, count)
  assert.ok(outcome.typed > 0 && outcome.pictures > count, 'both kinds of outcome were there')
})
