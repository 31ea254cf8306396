// Many processes that read one source at once: `npm run bench -- --only readers` is the long form.
import assert from 'node:assert/strict'
import { cpus } from 'node:os'
import { test } from 'node:test'
import { runNode } from '../helpers/child.js'

interface Reader {
  pid: number
  mode: string
  /** Seen in the time that was measured, by JavaScript and by the capture. */
  frames: number
  captured: number
  /** Numbers in the pictures that were passed over. */
  missing: number
  lost: number
  dropped: number
  copies: number
  strayWrites: number
  /** The most frames that waited at the owner's at once. */
  waitedMost: number
  owner: { granted: number; dropped: number }
}

interface Result {
  seconds: number
  rate: number
  published: number
  owner: { copies: number; lost: number; dropped: number }
  readers: Reader[]
}

const [SECONDS, PER_MODE, QUEUE] = [5, 8, 32]

test('24 processes read one 1080p60 source in all three modes: who keeps up loses no frame, and none is copied on the way', async () => {
  const args = ['benches/work/readers.mjs', SECONDS, PER_MODE, QUEUE].map(String)
  const { code, stdout, stderr } = await runNode(args, { timeoutMs: 200_000 })
  assert.equal(code, 0, stderr)
  const { published, owner, readers, seconds, rate } = JSON.parse(stdout) as Result
  const kept = readers.filter((reader) => reader.waitedMost < QUEUE)
  console.log(`# ${published} frames in ${seconds.toFixed(1)} s; ${kept.length} of ${readers.length} readers kept up`)
  for (const mode of ['external', 'wasm', 'copy']) {
    assert.equal(readers.filter((reader) => reader.mode === mode).length, PER_MODE)
  }
  const skipped = owner.lost + owner.dropped
  for (const reader of readers) {
    const { pid, mode, frames, copies, strayWrites } = reader
    const who = `reader ${pid}, ${mode}: ${JSON.stringify(reader)}`
    // What both sides count differs by what is under way when they are asked.
    assert.ok(Math.abs(reader.captured - reader.owner.granted) <= QUEUE, who)
    assert.equal(copies, mode === 'copy' ? frames : 0, who)
    assert.equal(strayWrites, 0, who)
    if (!kept.includes(reader)) continue
    assert.deepEqual([reader.lost, reader.dropped, reader.owner.dropped], [0, 0, 0], who)
    assert.ok(reader.missing <= skipped, who)
    assert.ok(frames >= published - QUEUE, who)
  }
  assert.equal(owner.copies, 0)
  // On a machine that others use too the rest may be late, and say so.
  assert.ok(kept.length >= (cpus().length > 1 ? readers.length / 2 : 1), `${kept.length} readers kept up`)
  assert.ok(published >= seconds * rate * 0.9, `${published} frames were published`)
})
