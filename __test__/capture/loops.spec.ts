import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { BeamlineError, type Capture, memory, openCapture, type QueuePolicy, type VideoFrame } from 'beamline'
import { readCounter } from '../helpers/counter.js'
import { nothingIsHeld, until } from '../helpers/memory.js'

const FAST = 'pattern:ball?width=128&height=64&live=false'

/** Numbers of the pictures that a loop gives, each closed at once. */
async function numbers(frames: AsyncIterable<VideoFrame>, count = Number.POSITIVE_INFINITY): Promise<number[]> {
  const seen: number[] = []
  for await (const frame of frames) {
    seen.push(readCounter(frame)?.frame ?? -1)
    frame.close()
    if (seen.length >= count) break
  }
  return seen
}

const range = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i)

test('loop: `frames: n` gives n frames in order, then `ended` once, and the loop is over', async () => {
  const capture = await openCapture(`${FAST}&frames=25`)
  let ended = 0
  capture.addEventListener('ended', () => ended++)
  const said = once(capture, 'ended')
  assert.deepEqual(await numbers(capture), range(25))
  await said
  assert.deepEqual(await numbers(capture), [], 'a further loop has nothing')
  await capture.close()
  assert.equal(ended, 1)
  assert.deepEqual(capture.stats(), { captured: 25, lost: 0, dropped: 0, decoded: 0, cached: 0, copies: 0 })
})

test('loop: break ends the loop, not the source: a new loop goes on with later pictures', async () => {
  const capture = await openCapture(FAST)
  const first = await numbers(capture, 5)
  const second = await numbers(capture, 5)
  assert.deepEqual(first, range(5))
  const from = second[0] ?? 0
  assert.ok(from >= 5, `the second loop begins with ${from}`)
  assert.deepEqual(second, range(5, from))
  await capture.close()
})

test('loop: two at once, with policy block, each get every picture', async () => {
  const capture = await openCapture(`${FAST}&frames=60`, { policy: 'block' })
  const [a, b] = [capture.frames({ queue: 2 }), capture.frames({ queue: 8 })]
  const both = await Promise.all([numbers(a), numbers(b)])
  for (const seen of both) assert.deepEqual(seen, range(seen.length, seen[0]))
  assert.ok(both.some((seen) => seen.length === 60))
  assert.ok(both.every((seen) => seen.at(-1) === 59))
  await capture.close()
})

/** A loop that holds its first frame until the queue has had to decide `pushed` times, then takes `more`. */
async function decided(policy: QueuePolicy, queue: number, more: number) {
  const capture = await openCapture({ device: 'pattern:ball', width: 128, height: 64, frameRate: 500, policy, queue })
  const stream = capture.frames()
  const loop = stream[Symbol.asyncIterator]()
  const seen: number[] = []
  const take = async () => {
    const { value } = (await loop.next()) as IteratorYieldResult<VideoFrame>
    seen.push(readCounter(value)?.frame ?? -1)
    value.close()
  }
  await take()
  // A source that waits for its consumer does not look at the clock: only time says how much it has missed.
  const begin = performance.now()
  if (policy === 'block') await until(() => performance.now() - begin > 150, 'time for 75 pictures')
  else await until(() => stream.stats().dropped > 20, 'drops by the policy')
  for (let i = 0; i < more; i++) await take()
  await loop.return?.()
  const result = { seen, dropped: stream.stats().dropped, stats: capture.stats() }
  await capture.close()
  return result
}

test("policy 'latest': the newest picture waits, the others are dropped and counted", async () => {
  const { seen, dropped, stats } = await decided('latest', 4, 1)
  assert.ok((seen[1] ?? 0) - (seen[0] ?? 0) > 10, `after ${seen[0]} came ${seen[1]}`)
  assert.ok(dropped > 10)
  assert.ok(stats.dropped >= dropped)
  console.log(`# latest: ${dropped} dropped`)
})

test("policy 'drop-oldest': the newest pictures wait in order, as many as the queue holds", async () => {
  const { seen, dropped } = await decided('drop-oldest', 4, 4)
  assert.ok((seen[1] ?? 0) - (seen[0] ?? 0) > 15, `after ${seen[0]} came ${seen[1]}`)
  assert.ok(
    seen.every((n, i) => i === 0 || n > (seen[i - 1] ?? 0)),
    seen.join(),
  )
  assert.ok(dropped > 20)
})

test("policy 'drop-newest': the first pictures wait, what comes later is dropped and counted", async () => {
  const { seen, dropped } = await decided('drop-newest', 4, 4)
  assert.deepEqual(seen, range(5, seen[0]))
  assert.ok(dropped > 20)
})

test("policy 'block': nothing is dropped: a live source that has to wait loses pictures, and says how many", async () => {
  const { seen, dropped, stats } = await decided('block', 4, 8)
  assert.equal(dropped, 0)
  assert.equal(stats.dropped, 0)
  assert.deepEqual(seen.slice(0, 5), range(5, seen[0]))
  assert.ok(stats.lost > 20, `${stats.lost} lost`)
})

test('next(): several calls at once are answered in their order', async () => {
  const capture = await openCapture('pattern:ball?width=128&height=64&frameRate=20', { policy: 'drop-oldest' })
  const loop = capture[Symbol.asyncIterator]()
  const results = await Promise.all([loop.next(), loop.next(), loop.next(), loop.next()])
  const seen = results.map(({ value }) => {
    const n = readCounter(value as VideoFrame)?.frame
    ;(value as VideoFrame).close()
    return n
  })
  assert.deepEqual(seen, range(4, seen[0]))
  await loop.return?.()
  await capture.close()
})

test('return() while next() waits: next() says done', async () => {
  const capture = await openCapture('pattern:ball?width=64&height=64&frameRate=1/100')
  const loop = capture[Symbol.asyncIterator]()
  ;((await loop.next()).value as VideoFrame).close()
  const waiting = loop.next()
  await loop.return?.()
  assert.deepEqual(await waiting, { done: true, value: undefined })
  assert.deepEqual(await loop.next(), { done: true, value: undefined })
  await capture.close()
})

test('frames that nobody closes: Quota after timeoutMs with count and place; when they are closed, next() goes on', async () => {
  const capture = await openCapture(FAST, { timeoutMs: 300 })
  const loop = capture[Symbol.asyncIterator]()
  const held: VideoFrame[] = []
  const begin = performance.now()
  let error: unknown
  for (let i = 0; i < 100 && !error; i++) {
    await loop.next().then(
      ({ value }) => held.push(value as VideoFrame),
      (e: unknown) => (error = e),
    )
  }
  const ms = performance.now() - begin
  assert.ok(error instanceof BeamlineError)
  assert.deepEqual([error.code, error.reason], ['Quota', 'frames-not-closed'])
  assert.match(error.hint ?? '', new RegExp(`${held.length} frames are open`))
  assert.match(error.hint ?? '', /loops\.spec/, 'the place that made the loop')
  assert.ok(ms >= 290 && ms < 3000, `${ms.toFixed(0)} ms`)
  console.log(`# Quota with ${held.length} frames open, after ${ms.toFixed(0)} ms`)
  for (const frame of held) frame.close()
  const next = (await loop.next()).value as VideoFrame
  assert.equal(readCounter(next)?.frame, held.length)
  next.close()
  await capture.close()
})

/** Takes frames, closing each, until `next()` rejects; gives the error and how many there were. */
async function starve(loop: AsyncIterator<VideoFrame>): Promise<{ error: BeamlineError; frames: number; ms: number }> {
  for (let frames = 0; ; frames++) {
    const begin = performance.now()
    try {
      const { value } = (await loop.next()) as IteratorYieldResult<VideoFrame>
      value.close()
    } catch (error) {
      assert.ok(error instanceof BeamlineError)
      return { error, frames, ms: performance.now() - begin }
    }
  }
}

test('a loop beside one that nobody reads: Quota after timeoutMs, with the place of the other; it lives on', async () => {
  const capture = await openCapture(`${FAST}&frames=200`)
  const reader = capture.frames({ timeoutMs: 200 })[Symbol.asyncIterator]()
  const unread = capture.frames({ queue: 3 })[Symbol.asyncIterator]()
  const { error, frames, ms } = await starve(reader)
  assert.deepEqual([error.code, error.reason], ['Quota', 'loop-not-read'])
  assert.match(error.message, /another loop .* with 3 frames in its queue/)
  assert.match(error.hint ?? '', /loops\.spec/, 'the place that made the other loop')
  assert.ok(ms >= 190 && ms < 2000, `${ms.toFixed(0)} ms`)
  assert.ok(frames >= 3, `${frames} frames came`)
  // Whoever begins to wait later waits as long.
  const again = await starve(reader)
  assert.deepEqual([again.error.reason, again.frames], ['loop-not-read', 0])
  assert.ok(again.ms >= 190, `${again.ms.toFixed(0)} ms`)
  const waiting = reader.next()
  await unread.return?.()
  const { value } = (await waiting) as IteratorYieldResult<VideoFrame>
  assert.equal(readCounter(value)?.frame, frames, 'nothing was lost')
  value.close()
  await reader.return?.()
  await capture.close()
})

test('a loop that waits already when another one stops being read: Quota once that has lasted timeoutMs', async () => {
  const capture = await openCapture(`${FAST}&frames=500`)
  const other = capture.frames({ queue: 1 })[Symbol.asyncIterator]()
  const reader = capture.frames({ timeoutMs: 600 })[Symbol.asyncIterator]()
  const starving = starve(reader)
  // The other one is read slowly, some frames at a time: each wait begins anew.
  let last = 0
  for (let i = 0; i < 60; i++) {
    const { value } = (await other.next()) as IteratorYieldResult<VideoFrame>
    value.close()
    last = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { error } = await starving
  const ms = performance.now() - last
  assert.equal(error.reason, 'loop-not-read')
  assert.ok(ms >= 400 && ms < 2500, `${ms.toFixed(0)} ms after the last frame that was taken`)
  await capture.close()
})

test('a loop beside one that keeps its frames: Quota names the keeper', async () => {
  const capture = await openCapture(FAST)
  const keeper = capture.frames({ queue: 2 })[Symbol.asyncIterator]()
  const reader = capture.frames({ timeoutMs: 200 })[Symbol.asyncIterator]()
  const kept: VideoFrame[] = []
  const keep = (async () => {
    for (;;) {
      const { value, done } = await keeper.next()
      if (done) return
      kept.push(value)
    }
  })().catch(() => undefined)
  const { error } = await starve(reader)
  assert.deepEqual([error.code, error.reason], ['Quota', 'frames-not-closed'])
  assert.match(error.hint ?? '', /\d+ frames are open that came from the loop made at .*loops\.spec/)
  await capture.close()
  await keep
  for (const frame of kept) frame.close()
})

test('close() while a loop waits: the loop ends quietly, close() settles at once', async () => {
  const capture = await openCapture('pattern:ball?width=64&height=64&frameRate=1/100')
  const seen: number[] = []
  const first = new Promise<void>((resolve) => {
    void (async () => {
      for await (const frame of capture) {
        seen.push(1)
        frame.close()
        resolve()
      }
      seen.push(2)
    })()
  })
  await first
  const begin = performance.now()
  await capture.close()
  const ms = performance.now() - begin
  console.log(`# close() took ${ms.toFixed(1)} ms`)
  assert.ok(ms < 1000, `${ms} ms`)
  await until(() => seen.length === 2, 'the end of the loop')
  assert.deepEqual(seen, [1, 2])
})

test('close(): frames that were handed out live on; threads are gone; a second close() is the first', async () => {
  const capture = await openCapture(`${FAST}&frames=3`)
  const { value } = (await capture[Symbol.asyncIterator]().next()) as IteratorYieldResult<VideoFrame>
  const closing = capture.close()
  assert.equal(capture.close(), closing)
  await closing
  await until(() => memory.stats().threads === 0, 'no thread')
  assert.equal(readCounter(value)?.frame, 0)
  value.close()
})

test('a loop over a closed capture is an InvalidState', async () => {
  const capture = await openCapture(FAST)
  await capture.close()
  assert.throws(() => capture[Symbol.asyncIterator](), { name: 'BeamlineError', code: 'InvalidState' })
})

test('await using closes a capture', async () => {
  let capture: Capture
  {
    await using inside = await openCapture(FAST)
    capture = inside
    assert.equal((await numbers(inside, 2)).length, 2)
  }
  assert.throws(() => capture[Symbol.asyncIterator](), { code: 'InvalidState' })
  await until(() => memory.stats().threads === 0, 'no thread')
})

test('loops: after everything here no slot is live and no frame is open', nothingIsHeld)
