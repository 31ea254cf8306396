import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BeamlineError, CaptureErrorEvent, memory, openCapture, type VideoFrame } from 'beamline'
import { readCounter } from '../helpers/counter.js'
import { files, scratch } from '../helpers/media.js'
import { nothingIsHeld, until } from '../helpers/memory.js'

const FAST = 'pattern:ball?width=128&height=64&live=false'
const SLOW = 'pattern:ball?width=64&height=64&frameRate=1/100'
const folder = scratch()

test('openCapture: an aborted signal rejects with its reason, before anything is opened', async () => {
  const reason = new Error('not now')
  await assert.rejects(openCapture(FAST, { signal: AbortSignal.abort(reason) }), (error) => error === reason)
  assert.equal(memory.stats().threads, 0)
})

test('openCapture: a signal that aborts while it opens rejects with its reason and leaves nothing', async () => {
  const abort = new AbortController()
  const opening = openCapture(FAST, { signal: abort.signal })
  abort.abort('changed my mind')
  await assert.rejects(opening, (error) => error === 'changed my mind')
  await until(() => memory.stats().threads === 0, 'no thread')
  await nothingIsHeld()
})

test('frames({ signal }): a loop that waits rejects with the reason; the capture goes on', async () => {
  const capture = await openCapture(SLOW)
  const abort = new AbortController()
  const reason = new Error('enough')
  const loop = capture.frames({ signal: abort.signal })[Symbol.asyncIterator]()
  ;((await loop.next()).value as VideoFrame).close()
  const waiting = loop.next()
  abort.abort(reason)
  await assert.rejects(waiting, (error) => error === reason)
  await assert.rejects(loop.next(), (error) => error === reason)
  assert.throws(
    () => capture.frames({ signal: abort.signal })[Symbol.asyncIterator](),
    (error) => error === reason,
  )
  assert.doesNotThrow(() => capture[Symbol.asyncIterator]())
  await capture.close()
})

test('openCapture({ signal }): aborting later closes the capture', async () => {
  const abort = new AbortController()
  const capture = await openCapture(SLOW, { signal: abort.signal })
  const ended = once(capture, 'ended')
  abort.abort()
  await ended
  assert.throws(() => capture[Symbol.asyncIterator](), { code: 'InvalidState' })
})

test('onended: called once, with the capture as `this`; replaced and taken away as the DOM has it', async () => {
  const capture = await openCapture(`${FAST}&frames=1`)
  const calls: unknown[] = []
  assert.equal(capture.onended, null)
  const wrong = () => void calls.push('wrong')
  capture.onended = wrong
  assert.equal(capture.onended, wrong)
  capture.onended = null
  assert.equal(capture.onended, null)
  capture.addEventListener('ended', () => calls.push('listener'))
  capture.onended = function (event) {
    calls.push(this, event.type)
  }
  for await (const frame of capture) frame.close()
  await until(() => calls.length > 2, 'the events')
  assert.deepEqual(calls, ['listener', capture, 'ended'])
  await capture.close()
  assert.equal(calls.length, 3)
})

test('onerror: a source that breaks rejects the loop, then says `error` with it, then `ended`', async () => {
  const whole = readFileSync(files.y4m())
  const path = join(folder, 'cut.y4m')
  writeFileSync(path, whole.subarray(0, Math.floor(whole.length * 0.6)))
  const capture = await openCapture(path, { live: false })
  const events: string[] = []
  let told: unknown
  capture.onerror = (event) => {
    events.push(event.type)
    assert.ok(event instanceof CaptureErrorEvent)
    told = event.error
  }
  capture.onended = (event) => events.push(event.type)
  let frames = 0
  const error: unknown = await (async () => {
    for await (const frame of capture) {
      frames++
      frame.close()
    }
    return undefined
  })().catch((e: unknown) => e)
  assert.ok(error instanceof BeamlineError, 'the loop rejects')
  assert.deepEqual([error.code, error.reason], ['Data', 'truncated'])
  assert.ok(frames > 0, `${frames} frames before`)
  await until(() => events.length === 2, 'both events')
  assert.deepEqual(events, ['error', 'ended'])
  assert.equal(told, error)
  await capture.close()
})

test('a y4m that is cut in the middle of a frame gives the whole frames before, and no other', async () => {
  const whole = readFileSync(files.y4m())
  const head = whole.indexOf('\n') + 1
  const size = 6 + (160 * 90 * 3) / 2
  for (const [bytes, expected] of [
    [head + 3 * size, 3],
    [head + 3 * size + 1, 3],
    [head + 4 * size - 1, 3],
  ] as const) {
    const path = join(folder, `cut-${bytes}.y4m`)
    writeFileSync(path, whole.subarray(0, bytes))
    const capture = await openCapture(path, { live: false })
    let n = 0
    const all = (async () => {
      for await (const frame of capture) {
        n++
        frame.close()
      }
    })()
    if (bytes === head + 3 * size) await all
    else await assert.rejects(all, { code: 'Data', reason: 'truncated' })
    assert.equal(n, expected, `cut at ${bytes}`)
    await capture.close()
  }
  appendFileSync(join(folder, 'empty.y4m'), '')
  await assert.rejects(openCapture(join(folder, 'empty.y4m')), { name: 'BeamlineError' })
})

test('readable: the same frames as a Web stream; cancelling it ends the loop alone', async () => {
  const capture = await openCapture(`${FAST}&frames=10`)
  const seen: Array<number | undefined> = []
  for await (const frame of capture.readable) {
    seen.push(readCounter(frame as VideoFrame)?.frame)
    ;(frame as VideoFrame).close()
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  await capture.close()

  const endless = await openCapture(FAST)
  const reader = endless.readable.getReader()
  const { value } = await reader.read()
  value?.close()
  await reader.cancel()
  const { value: next } = await endless.readable.getReader().read()
  assert.ok(next)
  next.close()
  await endless.close()
})

test('events: after everything here no slot is live and no frame is open', nothingIsHeld)
