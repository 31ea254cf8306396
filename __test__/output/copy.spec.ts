// copy(): packets of files that MP4 did not make come out as they were, at the times that they had.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createOutput, openInput, type Output, type VideoTrack } from 'beamline'
import { ffprobe, files, fixture, frameHashes, packetsOf, scratch } from '../helpers/media.js'
import { nothingIsHeld } from '../helpers/memory.js'

const folder = scratch()
const matroska = () => fixture('b-frames.mkv', ['-i', files.bFrames(), '-c', 'copy'])

describe('copy() from Matroska, with pictures that are decoded in another order than shown', () => {
  for (const fragmented of [true, false]) {
    test(fragmented ? 'in fragments' : 'plain', async () => {
      const [source, path] = [matroska(), join(folder, `copied-${fragmented}.mp4`)]
      await using input = await openInput(source)
      await using output = await createOutput(path, { fragmented })
      output.copy(input.video!)
      output.copy(input.audio!)
      const report = await output.close()
      assert.equal(report.complete, true)

      const [before, after] = [packetsOf(source, 'v:0'), packetsOf(path, 'v:0')]
      assert.ok(before.length === 50 && before.some((p, i) => p.pts < (before[i - 1]?.pts ?? 0)), 'it has B-frames')
      assert.deepEqual(
        after.map((p) => p.key),
        before.map((p) => p.key),
      )
      // Matroska's unit is a millisecond, and so is its rounding.
      after.forEach((p, i) => {
        const was = before[i]?.pts ?? Number.NaN
        assert.ok(Math.abs(p.pts - was) <= 1000, `packet ${i} at ${p.pts} µs, was ${was}`)
        assert.ok(p.dts <= p.pts && p.dts > (after[i - 1]?.dts ?? -Infinity), `packet ${i} is decoded at ${p.dts} µs`)
      })
      // The pictures are the same ones, each at its time.
      const [seen, was] = [frameHashes(path), frameHashes(source)]
      assert.deepEqual(
        seen.map((f) => f.hash),
        was.map((f) => f.hash),
      )
      seen.forEach((f, i) => assert.ok(Math.abs(f.timestamp - (was[i]?.timestamp ?? Number.NaN)) <= 1000, `frame ${i}`))
      // Each begins where it began, and the pictures last as long.
      const streams = (file: string) =>
        ffprobe<{ streams: Array<Record<string, string>> }>(file, ['-show_streams']).streams
      const [into, from] = [streams(path), streams(source)]
      assert.deepEqual(
        into.map((s) => s['codec_name']),
        ['h264', 'aac'],
      )
      into.forEach((stream, i) => {
        const [begins, began] = [Number(stream['start_time']), Number(from[i]?.['start_time'])]
        assert.ok(Math.abs(begins - began) <= 0.001, `${stream['codec_name']} begins at ${begins}, began at ${began}`)
      })
      assert.ok(Math.abs(Number(into[0]?.['duration']) - 2) <= 0.002, into[0]?.['duration'])
      const end = Math.max(...into.map((s) => Number(s['start_time']) + Number(s['duration']))) * 1e6
      assert.ok(Math.abs(report.duration - end) <= 1000, `${report.duration} µs, ffprobe says ${end}`)
      const sound = (file: string) => packetsOf(file, 'a:0').map((p) => p.size)
      assert.deepEqual(sound(path), sound(source))
    })
  }
})

describe('a jump in time between two pictures', () => {
  const HOUR = 3600e6
  /** 25 pictures, 15 of them so many hours later. Matroska's unit is a millisecond. */
  const jump = (hours: number) =>
    fixture(`jump-${hours}.mkv`, [
      '-i',
      files.silent(),
      '-bsf:v',
      `setts=ts=TS+gte(N\\,10)*${hours * 3.6e6}`,
      '-c',
      'copy',
    ])
  const expected = (hours: number) => Array.from({ length: 25 }, (_, n) => n * 40_000 + (n < 10 ? 0 : hours * HOUR))

  test('frames() gives every picture at its time, and from behind the jump as well', async () => {
    await using input = await openInput(jump(30))
    for (const from of [undefined, 30 * HOUR + 600_000]) {
      const times: number[] = []
      for await (const frame of input.video!.frames(from === undefined ? {} : { from })) {
        times.push(frame.timestamp)
        frame.close()
      }
      assert.deepEqual(times, from === undefined ? expected(30) : expected(30).slice(15))
    }
  })

  const ways: Record<string, (output: Output, video: VideoTrack) => Promise<void>> = {
    copied: async (output, video) => output.copy(video),
    encoded: async (output, video) => {
      const track = output.addVideo({ codec: 'h264', preset: 'ultrafast' })
      for await (using frame of video.frames()) await track.write(frame)
    },
  }
  for (const [way, write] of Object.entries(ways)) {
    for (const fragmented of [true, false]) {
      test(`${way}, ${fragmented ? 'in fragments' : 'plain'}: 30 hours are in the file, 80 are more than MP4 holds`, async () => {
        const path = join(folder, 'jump.mp4')
        await using short = await openInput(jump(30))
        await using output = await createOutput(path, { fragmented })
        await write(output, short.video!)
        await output.close()
        assert.deepEqual(
          packetsOf(path, 'v:0').map((p) => p.pts),
          expected(30),
        )
        await using long = await openInput(jump(80))
        await using refused = await createOutput(path, { fragmented })
        await assert.rejects(
          async () => {
            await write(refused, long.video!)
            await refused.close()
          },
          { name: 'BeamlineError', code: 'InvalidConfig', reason: 'timestamp-gap', message: /but after 360000 µs/ },
        )
      })
    }
  }
})

test('copy: after everything here no slot is live and no frame is open', nothingIsHeld)
