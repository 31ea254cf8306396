import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { type Input, memory, openInput } from 'beamline'
import { files, packetsOf } from '../helpers/media.js'
import { nothingIsHeld, until } from '../helpers/memory.js'

const path = files.tiny()
const bytes = new Uint8Array(readFileSync(path))
const DONE = { done: true, value: undefined }
const quickly = { timeout: 20_000 }

/** More than what was read while the file was opened has chunks for: the last of them wait. */
const calls = <T>(loop: AsyncIterator<T>) => Array.from({ length: 40 }, () => loop.next())

/** An input that opens, and from then on never answers a read. */
async function mute(): Promise<{ input: Input; asked: () => Promise<void> }> {
  let [mute, asked] = [false, false]
  const read = (at: number, n: number) => {
    if (!mute) return bytes.slice(at, at + Math.min(n, 2048))
    asked = true
    return new Promise<Uint8Array>(() => undefined)
  }
  const input = await openInput({ size: bytes.length, read })
  mute = true
  return { input, asked: () => until(() => asked, 'a read') }
}

describe('chunks(): next() that waits for a read that never answers', () => {
  test('return() ends it, and the loop', quickly, async () => {
    const { input, asked } = await mute()
    const loop = input.video!.chunks()
    const waiting = calls(loop)
    await asked()
    assert.deepEqual(await loop.return!(), DONE)
    const all = await Promise.all(waiting)
    assert.deepEqual(all.slice(-10), Array(10).fill(DONE))
    assert.deepEqual(await loop.next(), DONE)
    await input.close()
  })

  test('its signal ends it, with the reason', quickly, async () => {
    const { input, asked } = await mute()
    const abort = new AbortController()
    const loop = input.audio!.chunks({ signal: abort.signal })
    const waiting = calls(loop)
    await asked()
    const reason = new Error('enough')
    abort.abort(reason)
    const last = (await Promise.allSettled(waiting)).at(-1)
    assert.deepEqual(last, { status: 'rejected', reason })
    await input.close()
  })

  test('close() of the input ends it quietly', quickly, async () => {
    const { input, asked } = await mute()
    const loop = input.video!.chunks()
    const waiting = calls(loop)
    await asked()
    await input.close()
    assert.deepEqual((await Promise.all(waiting)).slice(-10), Array(10).fill(DONE))
  })
})

test('chunks(): several next() at once are answered in order', async () => {
  const input = await openInput(path)
  const loop = input.video!.chunks()
  const expected = packetsOf(path, 'v:0')
  const all = await Promise.all(Array.from({ length: expected.length + 2 }, () => loop.next()))
  const sizes = all.flatMap((r) => (r.done ? [] : [r.value.byteLength]))
  assert.deepEqual(
    sizes,
    expected.map((p) => p.size),
  )
  assert.deepEqual(all.slice(-2), [DONE, DONE])
  await input.close()
})

test('chunks(): return() before the first next() opens nothing; an aborted signal rejects', async () => {
  const input = await openInput(path)
  const never = input.video!.chunks()
  await never.return!()
  assert.deepEqual(await never.next(), DONE)
  const late = input.video!.chunks({ signal: AbortSignal.abort('no') })
  await assert.rejects(late.next(), (e) => e === 'no')
  await input.close()
})

test('chunks(): after everything here nothing is held and no thread runs', async () => {
  await nothingIsHeld()
  await until(() => memory.stats().threads === 0, 'no thread')
})
