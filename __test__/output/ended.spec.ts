// What an output says after its end: later writes are told what ended it, abort() what is left.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOutput, openCapture, type Output, type VideoFrame } from 'beamline'
import { nothingIsHeld } from '../helpers/memory.js'

const QUICK = { codec: 'h264', preset: 'ultrafast', keyInterval: 10 } as const

/** Writes pictures until one is refused; gives the error. */
async function writeOn(output: Output, after: (count: number) => void = () => undefined): Promise<unknown> {
  const video = output.addVideo(QUICK)
  const capture = await openCapture('pattern:ball?width=64&height=48&live=false&frames=500')
  let count = 0
  try {
    for await (const frame of capture) {
      try {
        await video.write(frame)
      } finally {
        frame.close()
      }
      after(++count)
    }
    return undefined
  } catch (error) {
    return error
  } finally {
    await capture.close()
  }
}

async function oneFrame(use: (frame: VideoFrame) => Promise<void>) {
  const capture = await openCapture('pattern:solid?width=64&height=48&live=false&frames=1')
  for await (const frame of capture) await use(frame).finally(() => frame.close())
  await capture.close()
}

test('a signal that aborts between two writes: the next one rejects with its reason', async () => {
  const controller = new AbortController()
  const reason = new Error('enough of this')
  const output = await createOutput({ write: () => undefined }, { signal: controller.signal })
  const error = await writeOn(output, (count) => count === 3 && controller.abort(reason))
  assert.equal(error, reason)
  await assert.rejects(output.close(), reason)
})

test('abort() between two writes: the next one rejects with AbortError; after close() with closed', async () => {
  const aborted = await createOutput({ write: () => undefined })
  let ended: Promise<unknown> | undefined
  const error = await writeOn(aborted, (count) => count === 3 && (ended = aborted.abort()))
  assert.equal((error as DOMException).name, 'AbortError')
  await ended
  const closed = await createOutput({ write: () => undefined })
  const video = closed.addVideo(QUICK)
  await oneFrame((frame) => video.write(frame))
  await closed.close()
  await oneFrame((frame) => assert.rejects(video.write(frame), { code: 'InvalidState', reason: 'closed' }))
})

for (const [room, playable] of [
  [0, false],
  [20_000, true],
] as const) {
  for (const way of ['abort()', 'close() and abort()']) {
    test(`a target that fails after ${room} bytes: ${way} tells what is left`, async () => {
      let written = 0
      const full = new Error('no room')
      const output = await createOutput({
        write(bytes) {
          if (written + bytes.byteLength > room) throw full
          written += bytes.byteLength
        },
      })
      const error = await writeOn(output)
      assert.equal((error as Error).cause, full)
      if (way !== 'abort()') {
        await assert.rejects(output.close(), { reason: 'write-failed' })
        assert.throws(() => output.addVideo(QUICK), { code: 'InvalidState', reason: 'closed' })
      }
      const left = await output.abort()
      assert.deepEqual([left.complete, left.playable, left.fragments > 0], [false, playable, playable])
      assert.ok(left.bytes <= written, `${left.bytes} of ${written}`)
      assert.deepEqual(await output.abort(), left)
    })
  }
}

test('a close() that fails: later writes are told the same', async () => {
  const output = await createOutput({
    write() {
      throw new Error('no room')
    },
  })
  const video = output.addVideo(QUICK)
  await oneFrame((frame) => video.write(frame))
  const error: unknown = await output.close().catch((e: unknown) => e)
  assert.equal((error as { reason?: string }).reason, 'write-failed')
  await oneFrame((frame) => assert.rejects(video.write(frame), (e) => e === error))
})

test('ended: after everything here no slot is live and no frame is open', nothingIsHeld)
