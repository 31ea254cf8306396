// Arguments that cannot be right: a sentence and a class, never an error of the machine below.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { BeamlineError, createOutput, encodeImage, openInput, VideoFrame, type VideoFrameToken } from 'beamline'
import { clip } from '../helpers/media.js'
import { nothingIsHeld } from '../helpers/memory.js'

const refused = (words: RegExp) => (e: unknown) => {
  assert.ok(e instanceof BeamlineError, String(e))
  assert.deepEqual([e.code, e.reason], ['InvalidConfig', 'invalid-argument'])
  assert.match(e.message, words)
  return true
}

test('VideoFrame.fromToken(): a token whose number is none', () => {
  for (const token of ['a', null, undefined, {}])
    assert.throws(
      () => VideoFrame.fromToken({ beamlineFrame: 1, token } as unknown as VideoFrameToken),
      refused(/what toToken\(\) gave/),
    )
})

test('encodeImage(): options that are no object', async () => {
  const frame = new VideoFrame(new Uint8Array(16), { format: 'RGBA', codedWidth: 2, codedHeight: 2, timestamp: 0 })
  for (const options of [null, 'image/png', 1])
    await assert.rejects(encodeImage(frame, options as never), refused(/an object for 'options'/))
  assert.equal((await encodeImage(frame, undefined))[1], 0x50)
  frame.close()
})

test('frames(), chunks(), copy(): an end before the beginning', async () => {
  const input = await openInput(clip)
  const output = await createOutput({ write: () => undefined })
  const { video } = input
  assert.ok(video)
  const wrong = { from: 2_000_000, to: 1_000_000 }
  for (const call of [() => video.frames(wrong), () => video.chunks(wrong), () => output.copy(video, wrong)])
    assert.throws(call, refused(/after 'from' \(2000000\) for 'to' but received 1000000/))
  for await (const frame of video.frames({ from: 1_000_000, to: 1_000_000 })) {
    frame.close()
    assert.fail('nothing lies between a time and itself')
  }
  await output.abort()
  await input.close()
})

test('recover: true is not hinted at to those who have said it', async () => {
  const cut = readFileSync(clip).subarray(0, 40_000)
  const hintOf = (recover: boolean) =>
    openInput(cut, { recover }).then(
      () => assert.fail('it opened'),
      (e: unknown) => (e as BeamlineError).hint ?? '',
    )
  assert.match(await hintOf(false), /recover: true/)
  assert.doesNotMatch(await hintOf(true), /recover/)
})

test('arguments: after everything here no slot is live and no frame is open', nothingIsHeld)
