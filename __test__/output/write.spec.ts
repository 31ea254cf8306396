import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createOutput, memory, openCapture, openInput, VideoFrame } from 'beamline'
import { clip, ffprobe, files, packetsOf, scratch, streamsOf } from '../helpers/media.js'
import { assertMode, copiesOf, nothingIsHeld } from '../helpers/memory.js'

const folder = scratch()
const QUICK = { codec: 'avc1.640028', preset: 'ultrafast' } as const

test('output: the run is in the zero-copy mode that it was asked for', assertMode)

test('clip → frames → H.264 with its sound: ffprobe agrees on frames, seconds, codec, size and rate; 0 copies', async () => {
  const path = join(folder, 'clip.mp4')
  const [source, sourceSound] = streamsOf(clip)
  await using input = await openInput(clip)
  await using output = await createOutput(path)
  const video = output.addVideo({ ...QUICK, frameRate: input.video!.frameRate! })
  output.copy(input.audio!)
  let written = 0
  const copies = await copiesOf(async () => {
    for await (const frame of input.video!.frames()) {
      await video.write(frame)
      frame.close()
      written++
    }
  })
  const report = await output.close()
  const stats = output.stats()
  console.log(
    `# decoder → encoder: ${copies} copies, ${stats.copies} conversions, ${written} frames, ${report.fragments} fragments`,
  )
  assert.deepEqual([copies, stats.copies], [0, 0])
  assert.equal(stats.frames, written)
  assert.deepEqual([report.complete, report.playable], [true, true])
  assert.equal(report.bytes, statSync(path).size)
  assert.match(stats.codecs[0] ?? '', /^avc1\./)
  const [made, sound] = streamsOf(path)
  assert.ok(made && source && sound && sourceSound)
  assert.equal(made.nb_read_frames, source.nb_read_frames)
  assert.equal(Number(made.nb_read_frames), written)
  assert.deepEqual([made.codec_name, made.width, made.height], ['h264', source.width, source.height])
  assert.deepEqual([sound.codec_name, sound.nb_read_frames], ['aac', sourceSound.nb_read_frames])
  const seconds = Number(made.duration)
  assert.ok(Math.abs(seconds - Number(source.duration)) < 0.002, `${seconds} s, the clip has ${source.duration} s`)
  assert.equal(made.avg_frame_rate, source.avg_frame_rate)
})

test('pattern → encoder: 0 copies, and one slot taken per frame', async () => {
  const capture = await openCapture('pattern:smpte?width=320&height=180&live=false&frames=40')
  const output = await createOutput(join(folder, 'pattern.mp4'))
  const video = output.addVideo(QUICK)
  const { allocations } = memory.stats()
  const copies = await copiesOf(async () => {
    for await (const frame of capture) {
      await video.write(frame)
      frame.close()
    }
    await output.close()
  })
  const slots = memory.stats().allocations - allocations
  await capture.close()
  console.log(`# pattern → encoder: ${copies} copies, ${slots} slots, 40 frames`)
  assert.deepEqual([copies, output.stats().copies, slots], [0, 0, 40])
})

describe('what the encoder cannot take costs one copy per frame, counted', () => {
  const cases = {
    'RGBA frames': { source: 'pattern:ball?width=128&height=96&live=false&frames=10&format=rgba', size: {} },
    'another size': {
      source: 'pattern:ball?width=128&height=96&live=false&frames=10',
      size: { width: 64, height: 48 },
    },
  }
  for (const [name, { source, size }] of Object.entries(cases)) {
    test(name, async () => {
      const path = join(folder, `${name}.mp4`)
      const capture = await openCapture(source)
      const output = await createOutput(path)
      const video = output.addVideo({ ...QUICK, ...size })
      const copies = await copiesOf(async () => {
        for await (const frame of capture) {
          await video.write(frame)
          frame.close()
        }
        await output.close()
      })
      await capture.close()
      assert.deepEqual([output.stats().copies, copies], [10, 10])
      const [made] = streamsOf(path)
      assert.deepEqual(
        [made?.width, made?.height, made?.nb_read_frames],
        size && 'width' in size ? [64, 48, '10'] : [128, 96, '10'],
      )
    })
  }
})

describe('timestamps come out as they went in', () => {
  for (const [name, path] of Object.entries({ 'B-frames': files.bFrames, 'variable frame rate': files.variable })) {
    test(name, async () => {
      const out = join(folder, `times-${name}.mp4`)
      await using input = await openInput(path())
      const output = await createOutput(out)
      const video = output.addVideo({ codec: 'h264', preset: 'fast' })
      const given: number[] = []
      for await (const frame of input.video!.frames()) {
        given.push(frame.timestamp)
        await video.write(frame)
        frame.close()
      }
      await output.close()
      const shown = ffprobe<{ frames: Array<{ best_effort_timestamp_time: string }> }>(out, [
        '-select_streams',
        'v:0',
        '-show_frames',
      ])
      const times = shown.frames.map((f) => Math.round(Number(f.best_effort_timestamp_time) * 1e6))
      assert.equal(times.length, given.length)
      for (const [i, time] of times.entries())
        assert.ok(Math.abs(time - (given[i] ?? 0)) <= 20, `frame ${i}: ${time}, not ${given[i]}`)
    })
  }
})

test('write(): back-pressure: its promise waits when the queue is full, and every frame is written', async () => {
  const path = join(folder, 'pressure.mp4')
  const output = await createOutput(path)
  const video = output.addVideo({ codec: 'h264', preset: 'medium', queue: 1 })
  let pending = 0
  let most = 0
  const writes: Promise<void>[] = []
  for (let i = 0; i < 30; i++) {
    using frame = new VideoFrame(new Uint8Array(640 * 360 * 1.5).fill(i * 8), {
      format: 'I420',
      codedWidth: 640,
      codedHeight: 360,
      timestamp: i * 40_000,
    })
    pending++
    writes.push(video.write(frame).then(() => void pending--))
    await Promise.resolve()
    most = Math.max(most, pending)
  }
  assert.ok(most >= 20, `at most ${most} writes waited`)
  await Promise.all(writes)
  await output.close()
  assert.equal(streamsOf(path)[0]?.nb_read_frames, '30')
  console.log(`# at most ${most} writes waited`)
})

test('write({ signal }): a write that waits is cancelled with the reason and is not in the file', async () => {
  const path = join(folder, 'cancelled.mp4')
  const output = await createOutput(path)
  const video = output.addVideo({ codec: 'h264', preset: 'medium', queue: 1 })
  const abort = new AbortController()
  const results: Promise<unknown>[] = []
  for (let i = 0; i < 20; i++) {
    using frame = new VideoFrame(new Uint8Array(640 * 360 * 1.5), {
      format: 'I420',
      codedWidth: 640,
      codedHeight: 360,
      timestamp: i * 40_000,
    })
    results.push(
      video.write(frame, { signal: abort.signal }).then(
        () => 'written',
        (e: unknown) => e,
      ),
    )
  }
  abort.abort('enough')
  const outcomes = await Promise.all(results)
  const written = outcomes.filter((o) => o === 'written').length
  assert.ok(written < 20 && outcomes.every((o) => o === 'written' || o === 'enough'))
  await output.close()
  assert.equal(streamsOf(path)[0]?.nb_read_frames, String(written))
})

test('write({ keyFrame }): a key picture where one is asked for', async () => {
  const path = join(folder, 'keys.mp4')
  const capture = await openCapture('pattern:ball?width=128&height=96&live=false&frames=30')
  const output = await createOutput(path)
  const video = output.addVideo(QUICK)
  let n = 0
  for await (const frame of capture) {
    await video.write(frame, { keyFrame: n === 7 || n === 20 })
    frame.close()
    n++
  }
  await output.close()
  await capture.close()
  const keys = packetsOf(path, 'v:0').flatMap((p, i) => (p.key ? [i] : []))
  assert.deepEqual(keys, [0, 7, 20])
})

test('addVideoChunks, addAudio: chunks are written as they are: the packets of the source', async () => {
  const path = join(folder, 'remux.mp4')
  await using input = await openInput(files.bFrames())
  const output = await createOutput(path)
  const video = output.addVideoChunks(input.video!.decoderConfig)
  const audio = output.addAudio(input.audio!.decoderConfig)
  await Promise.all([
    (async () => {
      for await (const chunk of input.video!.chunks()) await video.write(chunk)
    })(),
    (async () => {
      for await (const chunk of input.audio!.chunks()) await audio.write(chunk)
    })(),
  ])
  await output.close()
  for (const stream of ['v:0', 'a:0']) {
    const [before, after] = [packetsOf(files.bFrames(), stream), packetsOf(path, stream)]
    assert.deepEqual(
      after.map((p) => [p.size, p.key]),
      before.map((p) => [p.size, p.key]),
      stream,
    )
    for (const [i, p] of after.entries()) {
      assert.ok(
        Math.abs(p.pts - (before[i]?.pts ?? Number.NaN)) <= 25,
        `${stream} ${i}: ${p.pts}, not ${before[i]?.pts}`,
      )
    }
  }
})

test('write: after everything here no slot is live and no frame is open', nothingIsHeld)
