import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { type FrameStream, memory, openInput, type VideoFrame } from 'beamline'
import { clip, files, frameHashes } from '../helpers/media.js'
import { assertMode, copiesOf, copyOfLook, expectedMode, nothingIsHeld, until } from '../helpers/memory.js'

/** MD5 of the visible picture, packed, read from `planes` where the mode shows shared memory. */
function hashOf(frame: VideoFrame): string {
  const hash = createHash('md5')
  const { x, y, width, height } = frame.visibleRect ?? { x: 0, y: 0, width: 0, height: 0 }
  for (const [i, { bytes, stride }] of frame.planes.entries()) {
    const sub = i === 0 ? 1 : 2
    for (let row = y / sub; row < (y + height) / sub; row++) {
      hash.update(bytes.subarray(row * stride + x / sub, row * stride + Math.ceil((x + width) / sub)))
    }
  }
  return hash.digest('hex')
}

async function times(frames: FrameStream): Promise<number[]> {
  const list: number[] = []
  for await (const frame of frames) {
    list.push(frame.timestamp)
    frame.close()
  }
  return list
}

test('frames(): the run is in the zero-copy mode that it was asked for', assertMode)

const kinds: Record<string, () => string> = {
  '322×182': files.odd,
  'B-frames': files.bFrames,
  'rotation 90': files.rotated,
  'variable frame rate': files.variable,
  'primed AAC': files.primed,
  MOV: files.mov,
}

describe('frames(): bit-exact with `ffmpeg -f framemd5`, timestamps included', () => {
  for (const [name, path] of Object.entries(kinds)) {
    test(name, async () => {
      const expected = frameHashes(path())
      await using input = await openInput(path())
      let i = 0
      for await (const frame of input.video!.frames()) {
        assert.equal(hashOf(frame), expected[i]?.hash, `picture ${i}`)
        assert.ok(
          Math.abs(frame.timestamp - (expected[i]?.timestamp ?? Number.NaN)) <= 1,
          `picture ${i}: ${frame.timestamp}`,
        )
        frame.close()
        i++
      }
      assert.equal(i, expected.length)
    })
  }
  test('the clip', async () => {
    const expected = frameHashes(clip)
    await using input = await openInput(clip)
    let i = 0
    const before = memory.stats().allocations
    const copies = await copiesOf(async () => {
      for await (const frame of input.video!.frames()) {
        assert.equal(hashOf(frame), expected[i++]?.hash, `picture ${i}`)
        frame.close()
      }
    })
    assert.equal(i, expected.length)
    console.log(
      `# decoder → JavaScript, ${expectedMode}: ${copies} copies, ${memory.stats().allocations - before} slots, ${i} frames`,
    )
    assert.equal(copies, i * copyOfLook)
  })
})

test('frames({ from }): the first frame whose end lies after `from`, whatever the key pictures', async () => {
  await using input = await openInput(files.bFrames())
  const video = input.video!
  const spans: Array<[number, number]> = []
  for await (const frame of video.frames()) {
    spans.push([frame.timestamp, frame.duration ?? 0])
    frame.close()
  }
  const all = spans.map(([t]) => t)
  for (const i of [0, 1, 7, Math.floor(all.length / 2), all.length - 1]) {
    const [start, duration] = spans[i] ?? [0, 0]
    assert.ok(duration > 0)
    for (const from of [start, start + 1, start + duration - 1]) {
      assert.deepEqual(await times(video.frames({ from })), all.slice(i), `from ${from}, frame ${i}`)
    }
    if (i + 1 < all.length) assert.deepEqual(await times(video.frames({ from: start + duration })), all.slice(i + 1))
  }
  assert.deepEqual(await times(video.frames({ from: -5_000_000 })), all)
  assert.deepEqual(await times(video.frames({ from: 3_600_000_000 })), [])
})

test('frames({ from, to }): ends before the first frame that begins at or after `to`', async () => {
  await using input = await openInput(files.bFrames())
  const video = input.video!
  const all = await times(video.frames())
  const [from = 0, to = 0] = [all[10], all[20]]
  assert.deepEqual(await times(video.frames({ from, to })), all.slice(10, 20))
  assert.deepEqual(await times(video.frames({ to: to + 1 })), all.slice(0, 21))
  assert.deepEqual(await times(video.frames({ from, to: from })), [])
})

test('frames(): two loops side by side have cursors of their own', async () => {
  await using input = await openInput(files.bFrames())
  const video = input.video!
  const all = await times(video.frames())
  const [a, b, sound] = await Promise.all([
    times(video.frames()),
    times(video.frames({ from: all[20] ?? 0 })),
    (async () => {
      let n = 0
      for await (const chunk of input.audio!.chunks()) n += chunk.byteLength > 0 ? 1 : 0
      return n
    })(),
  ])
  assert.deepEqual(a, all)
  assert.deepEqual(b, all.slice(20))
  assert.ok(sound > 50)
})

test("frames({ pace: 'realtime' }): a second of film takes a second", async () => {
  await using input = await openInput(files.tiny())
  const begin = performance.now()
  const list = await times(input.video!.frames({ pace: 'realtime' }))
  const ms = performance.now() - begin
  const length = ((list.at(-1) ?? 0) - (list[0] ?? 0)) / 1000
  console.log(`# realtime: ${length.toFixed(0)} ms of film in ${ms.toFixed(0)} ms`)
  assert.ok(ms > length * 0.9 && ms < length * 1.5 + 500)
})

test('frames(): break in the middle frees the decoder; closing the input lets frames live', async () => {
  const input = await openInput(files.bFrames())
  let kept: VideoFrame | undefined
  for await (const frame of input.video!.frames()) {
    kept = frame
    break
  }
  const begin = performance.now()
  await input.close()
  const ms = performance.now() - begin
  console.log(`# close() took ${ms.toFixed(1)} ms`)
  assert.ok(ms < 1000)
  await until(() => memory.stats().threads === 0, 'no thread')
  assert.ok((kept?.planes[0]?.bytes.length ?? 0) > 0)
  kept?.close()
})

test('frames({ signal }): a loop rejects with the reason', async () => {
  await using input = await openInput(files.bFrames())
  const abort = new AbortController()
  const reason = new Error('enough')
  let n = 0
  const loop = (async () => {
    for await (const frame of input.video!.frames({ signal: abort.signal })) {
      frame.close()
      if (++n === 3) abort.abort(reason)
    }
  })()
  await assert.rejects(loop, (error) => error === reason)
})

test('frames(): options that cannot be are refused', async () => {
  await using input = await openInput(files.tiny())
  const video = input.video!
  for (const options of [{ from: 0.5 }, { to: Number.NaN }, { queue: 0 }, { pace: 'slow' as 'fast' }]) {
    assert.throws(
      () => video.frames(options),
      { name: 'BeamlineError', code: 'InvalidConfig' },
      JSON.stringify(options),
    )
  }
  assert.throws(() => video.frames({ policy: 'newest' as 'latest' })[Symbol.asyncIterator](), { code: 'InvalidConfig' })
})

test('frames: after everything here no slot is live and no frame is open', nothingIsHeld)
