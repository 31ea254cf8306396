import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BeamlineError, listDevices, memory, openCapture, type OpenCaptureOptions } from 'beamline'
import { clip } from '../helpers/media.js'
import { nothingIsHeld, until } from '../helpers/memory.js'

/** What is asked for, the code, the reason, and words that the message must have. */
const TABLE: ReadonlyArray<readonly [string | OpenCaptureOptions, string, string, RegExp]> = [
  ['pattern:plaid', 'InvalidConfig', 'unknown-pattern', /smpte.*plaid/],
  ['pattern:smpte?format=rgb565', 'InvalidConfig', 'bad-option', /i420.*rgb565/],
  ['pattern:smpte?width=0', 'InvalidConfig', 'bad-option', /width.*'0'/],
  ['pattern:smpte?width=100000', 'InvalidConfig', 'bad-option', /16384/],
  ['pattern:smpte?height=-4', 'InvalidConfig', 'bad-option', /height/],
  ['pattern:smpte?frameRate=0', 'InvalidConfig', 'bad-option', /rate above 0/],
  ['pattern:smpte?frameRate=30/0', 'InvalidConfig', 'bad-option', /30\/0/],
  ['pattern:smpte?bogus=1', 'InvalidConfig', 'unknown-option', /live.*bogus/],
  ['pattern:smpte?live=perhaps', 'InvalidConfig', 'bad-option', /true or false.*perhaps/],
  ['pattern:smpte?frames=-1', 'InvalidConfig', 'bad-option', /frames/],
  ['pattern:solid?color=%23red', 'InvalidConfig', 'bad-option', /#rrggbb/],
  [{ device: 'pattern:smpte', width: 0 }, 'InvalidConfig', 'bad-option', /width/],
  [{ device: 'pattern:smpte', width: Number.NaN }, 'InvalidConfig', 'bad-option', /width/],
  [{ device: 'pattern:smpte', height: 1.5 }, 'InvalidConfig', 'bad-option', /height/],
  [{ device: 'pattern:smpte', frameRate: 0 }, 'InvalidConfig', 'invalid-argument', /frameRate/],
  [{ device: 'pattern:smpte', frameRate: Number.NaN }, 'InvalidConfig', 'invalid-argument', /NaN/],
  [{ device: 'pattern:smpte', frameRate: 1e9 }, 'InvalidConfig', 'invalid-argument', /1000/],
  [{ device: 'pattern:smpte', frameRate: { num: 30, den: 0 } }, 'InvalidConfig', 'invalid-argument', /frameRate/],
  [{ device: 'pattern:smpte', queue: 0 }, 'InvalidConfig', 'invalid-argument', /queue/],
  [{ device: 'pattern:smpte', queue: 1.5 }, 'InvalidConfig', 'invalid-argument', /queue/],
  [
    { device: 'pattern:smpte', policy: 'newest' as 'latest' },
    'InvalidConfig',
    'invalid-argument',
    /drop-oldest.*newest/,
  ],
  [{ device: 'pattern:smpte', bogus: 1 } as OpenCaptureOptions, 'InvalidConfig', 'unknown-option', /bogus/],
  [{} as OpenCaptureOptions, 'InvalidConfig', 'invalid-argument', /device/],
  [{ device: 7 as unknown as string }, 'InvalidConfig', 'invalid-argument', /device/],
  ['', 'InvalidConfig', 'unknown-device', /pattern/],
  [clip, 'InvalidConfig', 'video-file', /openInput/],
  ['holiday.MOV', 'InvalidConfig', 'video-file', /openInput/],
  ['/dev/video0', 'NotSupported', 'no-backend', /camera/],
  ['rtsp://camera/stream', 'NotSupported', 'no-backend', /network/],
  ['/nowhere/%05d.png', 'NotFound', 'no-such-file', /nowhere/],
  ['/nowhere/clip.y4m', 'NotFound', 'no-such-file', /nowhere/],
  [{ device: 'pattern:smpte', timeoutMs: -1 }, 'InvalidConfig', 'invalid-argument', /timeoutMs.*-1/],
  [{ device: 'pattern:smpte', signal: {} as AbortSignal }, 'InvalidConfig', 'invalid-argument', /AbortSignal/],
  [{ device: null as unknown as string }, 'InvalidConfig', 'invalid-argument', /device.*null/],
  [null as unknown as string, 'InvalidConfig', 'invalid-argument', /device/],
]

describe('openCapture: a typed error that says what was expected', () => {
  for (const [asked, code, reason, words] of TABLE) {
    test(
      typeof asked === 'string'
        ? `'${asked.slice(-40)}'`
        : JSON.stringify(asked, (_, v: unknown) => (Number.isNaN(v) ? 'NaN' : v)),
      async () => {
        await assert.rejects(openCapture(asked), (error) => {
          assert.ok(error instanceof BeamlineError, String(error))
          assert.deepEqual([error.code, error.reason], [code, reason], error.message)
          assert.match(error.message, words)
          return true
        })
      },
    )
  }
})

test('openCapture: the hint says what to do', async () => {
  await assert.rejects(openCapture(clip), (e) => e instanceof BeamlineError && /openInput/.test(e.hint ?? ''))
  await assert.rejects(openCapture('nope.y4m'), (e) => e instanceof BeamlineError && /spelling/.test(e.hint ?? ''))
})

test('openCapture: options go on top of an object as on top of a URL', async () => {
  const asked = { device: 'pattern:smpte', width: 64, height: 64, live: false }
  const capture = await openCapture(asked, { width: 128, height: undefined as never, frames: 2 })
  assert.deepEqual([capture.format.width, capture.format.height], [128, 64])
  let n = 0
  for await (const frame of capture) {
    frame.close()
    n++
  }
  assert.equal(n, 2)
  await capture.close()
  const aborted = { signal: AbortSignal.abort('no') }
  await assert.rejects(openCapture(asked, aborted), (e) => e === 'no')
  await assert.rejects(openCapture(asked, { queue: 0 }), { code: 'InvalidConfig', reason: 'invalid-argument' })
})

test('Capture.frames(): options that cannot be are refused with words', async () => {
  const capture = await openCapture('pattern:smpte?width=64&height=64')
  const refused = (options: object, words: RegExp) =>
    assert.throws(() => capture.frames(options), { name: 'BeamlineError', reason: 'invalid-argument', message: words })
  refused({ policy: 'newest' }, /drop-oldest.*newest/)
  refused({ queue: 1.5 }, /1 to 1024.*1\.5/)
  refused({ timeoutMs: NaN }, /milliseconds.*NaN/)
  refused({ signal: 'stop' }, /AbortSignal.*stop/)
  await capture.close()
})

test('listDevices: a kind that does not exist is refused with those that do', async () => {
  const asked = listDevices({ kind: 'bogus' as 'camera' })
  await assert.rejects(asked, { code: 'InvalidConfig', reason: 'invalid-argument', message: /'camera'.*'bogus'/ })
  assert.deepEqual(await listDevices({ kind: 'network' }), [])
})

test('openCapture: what was refused has left neither thread nor slot', async () => {
  await until(() => memory.stats().threads === 0, `no thread (${JSON.stringify(memory.stats())})`).catch(
    () => undefined,
  )
  assert.equal(memory.stats().threads, 0)
  await nothingIsHeld()
})
