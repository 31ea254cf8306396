import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openInput } from 'beamline'
import { clip, files, packetsOf, streamsOf } from '../helpers/media.js'
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
