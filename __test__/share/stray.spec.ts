// What a script stores into frames that another process owns: whose pixels change, who is warned, what later frames show.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory, openCapture } from 'beamline'
import { type Ended, runModule } from '../helpers/child.js'
import { assertMode, expectedMode } from '../helpers/memory.js'
import { ownNames, sum } from '../helpers/share.js'

ownNames()

test('stray: the run is in the zero-copy mode that it was asked for', assertMode)

/** Every picture has the same bytes. */
const SOLID = 'pattern:solid?color=%23306090&counter=false&width=320&height=180&frameRate=100'

interface Seen {
  /** Pictures by their hash. */
  pictures: Record<string, number>
  warnings: Array<{ name: string; code: string; message: string }>
  strayWrites: number
  /** What was stored was seen by who stored it. */
  own: number
  stored: number
}

/** A child that reads a share until `done`; each frame for which `stores` holds is stored into, in all of its planes. */
const reader = (stores: string, done: string) => `
  import { createHash } from 'node:crypto'
  import { memory, openCapture } from 'beamline'
  const warnings = []
  process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }))
  const capture = await openCapture('shared:stray', { policy: 'drop-oldest' })
  const pictures = {}
  let [seen, own, stored, right] = [0, 0, 0, 0]
  const found = () => memory.stats().strayWrites > 0
  for await (const frame of capture) {
    seen++
    if (${stores}) {
      stored++
      for (const { bytes } of frame.planes) bytes.fill(stored)
      own += frame.planes.every(({ bytes }) => bytes.every((b) => b === (stored & 255))) ? 1 : 0
    } else {
      right++
      const hash = createHash('sha1')
      for (const { bytes } of frame.planes) hash.update(bytes)
      const digest = hash.digest('hex')
      pictures[digest] = (pictures[digest] ?? 0) + 1
    }
    frame.close()
    if (${done}) break
  }
  await capture.close()
  await new Promise((resolve) => setTimeout(resolve, 20))
  console.log(JSON.stringify({ pictures, warnings, strayWrites: memory.stats().strayWrites, own, stored }))`

const seenBy = (ended: Ended): Seen => {
  assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr)
  return JSON.parse(ended.stdout) as Seen
}

/** What children see of one share, and what its owner saw meanwhile. */
async function readBy(...children: ReadonlyArray<readonly [code: string, dev: string | undefined]>) {
  await using capture = await openCapture(SOLID)
  await using share = await capture.share('stray')
  const ours: Record<string, number> = {}
  let over = false
  const looking = (async () => {
    for await (const frame of capture) {
      const hash = sum(frame)
      ours[hash] = (ours[hash] ?? 0) + 1
      frame.close()
      if (over) break
    }
  })()
  const run = ([code, dev]: readonly [string, string | undefined]) => runModule(code, { env: { BEAMLINE_DEV: dev } })
  const ended = await Promise.all(children.map(run))
  assert.equal(share.name, 'stray')
  over = true
  await looking
  const [picture, ...others] = Object.keys(ours)
  assert.deepEqual(others, [], 'the owner saw other pictures than its own')
  assert.equal(memory.stats().strayWrites, 0)
  return { picture: picture as string, seen: ended.map(seenBy) }
}

const copies = expectedMode === 'copy'

test('stray: a store changes nobody’s pixels but its own, is warned of once, and later frames are right', async () => {
  const storing = reader('seen <= 12 || seen % 16 === 0', 'right === 60')
  const { picture, seen } = await readBy([storing, '1'], [reader('false', 'seen === 80'), '1'])
  const [writer, other] = seen as [Seen, Seen]
  assert.deepEqual(other, { pictures: { [picture]: 80 }, warnings: [], strayWrites: 0, own: 0, stored: 0 })
  assert.deepEqual(writer.pictures, { [picture]: 60 }, 'a stale page was shown')
  assert.ok(writer.stored >= 12)
  assert.equal(writer.own, writer.stored, 'who stores sees what he has stored')
  // In mode copy what is seen is the script's own memory.
  assert.equal(writer.strayWrites, copies ? 0 : writer.stored)
  const warnings = writer.warnings.map(({ name, code }) => [name, code])
  assert.deepEqual(warnings, copies ? [] : [['BeamlineStrayWrite', 'BEAMLINE_STRAY_WRITE']])
})

test('stray: outside development it is found by samples, undone in all slots, and not warned of', async () => {
  const until = copies ? 'seen <= 64' : '!found()'
  const { picture, seen } = await readBy([reader(until, 'right === 60'), undefined])
  const [writer] = seen as [Seen]
  assert.deepEqual(writer.pictures, { [picture]: 60 }, 'a stale page was shown')
  assert.deepEqual(writer.warnings, [])
  console.log(`# found after ${writer.stored} frames`)
  assert.ok(writer.stored <= 64, `found after ${writer.stored} frames`)
  assert.equal(writer.strayWrites > 0, !copies)
})

test('stray: writable() gives a frame that may be written, and is no stray store', async () => {
  const code = `
    import { memory, openCapture } from 'beamline'
    const warnings = []
    process.on('warning', (w) => warnings.push(w.name))
    const capture = await openCapture('shared:stray')
    let written = 0
    for await (const frame of capture) {
      frame.planes[0].bytes[0]
      const own = frame.writable()
      own.planes[0].bytes.fill(7)
      own.close()
      if (++written === 20) break
    }
    await capture.close()
    console.log(JSON.stringify({ pictures: {}, warnings, strayWrites: memory.stats().strayWrites, own: 0, stored: written }))`
  const { seen } = await readBy([code, '1'])
  assert.deepEqual(seen, [{ pictures: {}, warnings: [], strayWrites: 0, own: 0, stored: 20 }])
})
