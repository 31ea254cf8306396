import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { join } from 'node:path'
import { createOutput, openInput, type Output, VideoFrame } from 'beamline'
import { clip, ffprobe, files, packetsOf, scratch, streamsOf } from '../helpers/media.js'
import { nothingIsHeld } from '../helpers/memory.js'

const all: Record<string, () => string> = {
  clip: () => clip,
  'B-frames': files.bFrames,
  '322×182': files.odd,
  'rotation 90': files.rotated,
  'variable frame rate': files.variable,
  'primed AAC': files.primed,
  'no sound': files.silent,
  MOV: files.mov,
}

/** Within a thousandth of a second: containers round. */
const near = (a: number | null, seconds: string, what: string) =>
  assert.ok(a !== null && Math.abs(a - Number(seconds) * 1e6) <= 1000, `${what}: ${a} µs, ffprobe says ${seconds} s`)

describe('openInput: tracks are what ffprobe says', () => {
  for (const [name, path] of Object.entries(all)) {
    test(name, async () => {
      const streams = streamsOf(path())
      await using input = await openInput(path())
      assert.deepEqual(
        input.tracks.map((t) => t.type),
        streams.map((s) => (s.codec_type === 'video' || s.codec_type === 'audio' ? s.codec_type : 'other')),
      )
      const probed = streams.find((s) => s.codec_type === 'video')
      assert.ok(input.video && probed)
      assert.match(input.video.codec, /^avc1\.[0-9a-f]{6}$/i)
      assert.deepEqual([input.video.codedWidth, input.video.codedHeight], [probed.width, probed.height])
      assert.equal(input.video.decoderConfig.codec, input.video.codec)
      assert.equal(input.video.decoderConfig.description?.[0], 1, 'an avcC box begins with its version')
      near(input.video.duration, probed.duration, 'duration of the pictures')
      const [num = 0, den = 1] = probed.avg_frame_rate.split('/').map(Number)
      assert.ok(Math.abs((input.video.frameRate ?? 0) - num / den) < 0.01, `rate ${input.video.frameRate}`)
      const sound = streams.find((s) => s.codec_type === 'audio')
      if (sound) {
        assert.ok(input.audio)
        assert.equal(input.audio.codec, 'mp4a.40.2')
        assert.deepEqual(
          [input.audio.sampleRate, input.audio.numberOfChannels],
          [Number(sound.sample_rate), sound.channels],
        )
        near(input.audio.duration, sound.duration, 'duration of the sound')
        assert.ok((input.audio.decoderConfig.description?.length ?? 0) >= 2)
      } else assert.equal(input.audio, null)
    })
  }
})

test('openInput: a file turned by 90 says so, on the track and on each frame', async () => {
  await using input = await openInput(files.rotated())
  const rotation = input.video?.rotation
  assert.ok(rotation === 90 || rotation === 270, `rotation ${rotation}`)
  for await (const frame of input.video!.frames()) {
    assert.equal(frame.rotation, rotation)
    assert.deepEqual([frame.displayWidth, frame.displayHeight], [182, 322])
    frame.close()
    break
  }
})

describe('openInput: pixels that are not square', () => {
  for (const [name, path] of Object.entries({
    'said by the container': files.anamorphic,
    'said by the bitstream alone': files.anamorphicBits,
  })) {
    test(name, async () => {
      await using input = await openInput(path())
      const { video } = input
      assert.ok(video)
      assert.deepEqual([video.codedWidth, video.codedHeight], [180, 144])
      assert.deepEqual([video.displayWidth, video.displayHeight], [262, 144])
      const { displayAspectWidth, displayAspectHeight } = video.decoderConfig
      assert.deepEqual([displayAspectWidth, displayAspectHeight], [20, 11])
      for await (const frame of video.frames()) {
        assert.deepEqual([frame.displayWidth, frame.displayHeight], [262, 144])
        using turned = new VideoFrame(frame, { rotation: 90 })
        assert.deepEqual([turned.displayWidth, turned.displayHeight], [144, 262])
        using half = new VideoFrame(frame, { visibleRect: { x: 0, y: 0, width: 90, height: 144 } })
        assert.deepEqual([half.displayWidth, half.displayHeight], [131, 144])
        frame.close()
      }
    })
  }

  test('square ones say nothing', async () => {
    await using input = await openInput(files.odd())
    assert.deepEqual([input.video?.displayWidth, input.video?.displayHeight], [322, 182])
    assert.ok(!('displayAspectWidth' in input.video!.decoderConfig))
  })

  test('and go into what is encoded, copied and written as chunks, as ffprobe sees it', async () => {
    const path = join(scratch(), 'out.mp4')
    await using input = await openInput(files.anamorphic())
    const video = input.video!
    const ways: Record<string, (output: Output) => Promise<void>> = {
      encoded: async (output) => {
        const track = output.addVideo({ codec: 'h264', preset: 'ultrafast' })
        for await (using frame of video.frames()) await track.write(frame)
      },
      copied: async (output) => output.copy(video),
      chunks: async (output) => {
        const track = output.addVideoChunks(video.decoderConfig)
        for await (const chunk of video.chunks()) await track.write(chunk)
      },
    }
    for (const [way, write] of Object.entries(ways)) {
      for (const fragmented of [true, false]) {
        await using output = await createOutput(path, { fragmented })
        await write(output)
        await output.close()
        const [probed] = ffprobe<{ streams: Array<Record<string, unknown>> }>(path, ['-show_streams']).streams
        assert.deepEqual(
          [probed?.['width'], probed?.['height'], probed?.['sample_aspect_ratio'], probed?.['display_aspect_ratio']],
          [180, 144, '16:11', '20:11'],
          `${way}, fragmented ${fragmented}`,
        )
      }
    }
  })
})

describe('chunks(): every packet of the file, in order, with its times, its size and its key flag', () => {
  for (const [name, path] of Object.entries(all)) {
    test(name, async () => {
      await using input = await openInput(path())
      for (const [track, stream] of [
        [input.video, 'v:0'],
        [input.audio, 'a:0'],
      ] as const) {
        if (!track) continue
        const packets = packetsOf(path(), stream)
        let i = 0
        for await (const chunk of track.chunks()) {
          const packet = packets[i++]
          assert.ok(packet, `${stream}: more chunks than packets`)
          assert.deepEqual([chunk.byteLength, chunk.type === 'key'], [packet.size, packet.key], `${stream} ${i}`)
          assert.ok(
            Math.abs(chunk.timestamp - packet.pts) <= 1,
            `${stream} ${i}: ${chunk.timestamp}, ffprobe says ${packet.pts}`,
          )
        }
        assert.equal(i, packets.length, stream)
      }
    })
  }
})

test('chunks({ from, to }): from the key chunk at or before `from`, until `to`', async () => {
  const packets = packetsOf(files.indexInFront(), 'v:0')
  const keys = packets.filter((p) => p.key).map((p) => p.pts)
  const [, second = 0, third = 0] = keys
  await using input = await openInput(files.indexInFront())
  const got: number[] = []
  for await (const chunk of input.video!.chunks({ from: second + 1000, to: third })) {
    if (got.length === 0) assert.equal(chunk.type, 'key')
    got.push(chunk.timestamp)
  }
  assert.ok(Math.abs((got[0] ?? 0) - second) <= 1, `begins at ${got[0]}, expected ${second}`)
  assert.ok(got.length > 0 && got.length <= packets.length / 2)
})

test('tracks: after everything here no slot is live and no frame is open', nothingIsHeld)
