// What holds a resource and is forgotten: in development it is reported with the place that made it, and ended.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { runModule } from '../helpers/child.js'
import { clip, scratch } from '../helpers/media.js'

const film = join(scratch(), 'film.mp4')

const CODE = `
import { createOutput, openCapture, openInput } from 'beamline'
const [clip, film] = process.argv.slice(-2)
process.on('warning', (w) => w.name === 'BeamlineLeak' && console.log('leak: ' + w.message))
const settle = async () => {
  for (let i = 0; i < 10; i++) { gc(); await new Promise((r) => setTimeout(r, 20)) }
}
async function forgottenInput() { await openInput(clip) }
async function forgottenOutput() { (await createOutput(film)).addVideo({ codec: 'h264' }) }
async function forgottenCapture() { await openCapture('pattern:ball?width=64&height=48') }
async function forgottenSharedOutput() { return (await createOutput('shared:leaks-out-' + process.pid)).name }
async function forgottenShare() { return (await kept.share('leaks-' + process.pid)).name }
const kept = await openCapture('pattern:ball?width=64&height=48')
const track = (await createOutput({ write() {} })).addVideo({ codec: 'h264' })
const copying = await createOutput({ write() {} })
copying.copy((await openInput(clip)).video)
await (await openInput(clip)).close()
await forgottenInput()
await forgottenOutput()
await forgottenCapture()
const name = await forgottenShare()
const out = await forgottenSharedOutput()
await settle()
console.log('free again: ' + await kept.share(name).then((s) => s.close().then(() => true), (e) => e.reason))
console.log('and its name: ' + await createOutput('shared:' + out).then((o) => o.close().then(() => true), (e) => e.reason))
console.log('complete: ' + (await copying.close()).complete)
let wrote = 0
for await (const frame of kept) { await track.write(frame); frame.close(); if (++wrote === 3) break }
console.log('wrote: ' + wrote)
await kept.close()
process.exit()
`

const run = (env: Record<string, string | undefined>) =>
  runModule(CODE, { flags: ['--expose-gc'], env, args: [clip, film] })

test('in development: each with the place that opened it, and its number is closed', async () => {
  const { code, stdout, stderr } = await run({ BEAMLINE_DEV: '1' })
  assert.equal(code, 0, stderr)
  const leaks = stdout.split('\n').filter((line) => line.startsWith('leak: '))
  for (const name of ['Input', 'Output', 'Capture', 'Share', 'SharedOutput']) {
    const own = leaks.filter((line) => line.includes(`1 ${name} was collected without close()`))
    assert.ok(
      own.some((line) => line.includes(`forgotten${name} (`)),
      `${name}: ${leaks.join('\n')}`,
    )
  }
  // Those whose tracks are written to and copied from were not forgotten then.
  assert.match(stdout, /free again: true\nand its name: true\ncomplete: true\nwrote: 3/)
  const early = stdout.split('free again')[0] ?? ''
  assert.equal(early.split('leak: ').length - 1, 5, early)
})

test('otherwise nothing is said', async () => {
  const { code, stdout, stderr } = await run({ BEAMLINE_DEV: undefined })
  assert.equal(code, 0, stderr)
  assert.doesNotMatch(stdout, /leak/)
  assert.match(stdout, /free again: share-taken\nand its name: share-taken\n/)
})
