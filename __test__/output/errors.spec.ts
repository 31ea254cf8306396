import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import {
  BeamlineError,
  createOutput,
  type CreateOutputOptions,
  openInput,
  type OutputVideoConfig,
  VideoFrame,
} from 'beamline'
import { files, scratch } from '../helpers/media.js'
import { nothingIsHeld } from '../helpers/memory.js'

const folder = scratch()
const QUICK = { codec: 'h264', preset: 'ultrafast' } as const

describe('createOutput, addVideo: a typed error that says what was expected', () => {
  const frame = () =>
    new VideoFrame(new Uint8Array(64 * 64 * 1.5), { format: 'I420', codedWidth: 64, codedHeight: 64, timestamp: 0 })
  const inside = (name: string) => join(folder, name)
  const refused = (error: unknown, code: string, reason: string) => {
    assert.ok(error instanceof BeamlineError, String(error))
    assert.deepEqual([error.code, error.reason], [code, reason], error.message)
    return true
  }
  const targets: ReadonlyArray<readonly [string, unknown, CreateOutputOptions, string, string]> = [
    ['an unknown ending', inside('film.xyz'), {}, 'InvalidConfig', 'invalid-argument'],
    ['an unknown container', inside('film.mp4'), { container: 'avi' as 'mp4' }, 'InvalidConfig', 'invalid-argument'],
    ['a folder that is not there', '/nowhere/film.mp4', {}, 'NotFound', 'no-such-file'],
    ['no target', undefined, {}, 'InvalidConfig', 'invalid-argument'],
    ['a plain file for { write }', { write: () => undefined }, { fragmented: false }, 'NotSupported', 'not-seekable'],
  ]
  for (const [name, target, options, code, reason] of targets) {
    test(name, () => assert.rejects(createOutput(target as string, options), (e) => refused(e, code, reason)))
  }
  const bad: ReadonlyArray<readonly [unknown, RegExp]> = [
    [{ container: 5 }, /'mp4' or 'mov' for 'container' but received 5/],
    [{ fragmented: 'no' }, /true or false for 'fragmented' but received 'no'/],
    [{ signal: {} }, /AbortSignal/],
    [null, /an object for 'options' but received null/],
  ]
  for (const [options, words] of bad) {
    test(`options ${JSON.stringify(options)}: in words, and nothing is written`, async () => {
      const opening = createOutput(inside('bad.mp4'), options as CreateOutputOptions)
      await assert.rejects(opening, { name: 'BeamlineError', reason: 'invalid-argument', message: words })
      assert.equal(existsSync(inside('bad.mp4')), false)
    })
  }
  test('tracks: what cannot be is refused in words', async () => {
    const output = await createOutput(inside('tracks.mp4'))
    const words = (message: RegExp) => ({ name: 'BeamlineError', reason: 'invalid-argument', message })
    const video = (more: object) => () => output.addVideo({ ...QUICK, ...more })
    assert.throws(video({ preset: 5 }), words(/preset.*received 5/))
    assert.throws(video({ threads: -3.5 }), words(/1 to 256 for 'threads' but received -3\.5/))
    assert.throws(video({ queue: 2 ** 32 }), words(/1 to 1024 for 'queue'/))
    assert.throws(video({ keyInterval: 2 ** 32 }), words(/keyInterval/))
    const audio = { codec: 'mp4a.40.2', sampleRate: 48000, numberOfChannels: 2 }
    assert.throws(() => output.addAudio({ ...audio, sampleRate: 1.5 }), words(/sampleRate.*1\.5/))
    assert.throws(() => output.addAudio({ ...audio, description: 'x' as never }), words(/a Uint8Array.*'x'/))
    assert.throws(() => output.addVideoChunks(undefined as never), words(/decoderConfig/))
    await using input = await openInput(files.silent())
    assert.throws(() => output.copy(input.video!, { from: 0.5 }), words(/microseconds for 'from' but received 0\.5/))
    assert.throws(() => output.copy(input.video!, { shortest: 1 as never }), words(/true or false for 'shortest'/))
    await output.abort()
  })
  const configs: ReadonlyArray<readonly [string, Partial<OutputVideoConfig>, string]> = [
    ['no codec', { codec: undefined as unknown as string }, 'InvalidConfig'],
    ['an unknown codec', { codec: 'h999' }, 'InvalidConfig|NotSupported'],
    ['a codec that only decodes', { codec: 'mp4a.40.2' }, 'InvalidConfig|NotSupported'],
    ['bitrate 10', { bitrate: 10 }, 'InvalidConfig'],
    ['bitrate 3e9', { bitrate: 3e9 }, 'InvalidConfig'],
    ['bitrate −1', { bitrate: -1 }, 'InvalidConfig'],
    ['width 0', { width: 0 }, 'InvalidConfig'],
    ['width 1.5', { width: 1.5 }, 'InvalidConfig'],
    ['rate NaN', { frameRate: Number.NaN }, 'InvalidConfig'],
    ['an unknown latencyMode', { latencyMode: 'slow' as 'quality' }, 'InvalidConfig'],
    ['an unknown preset', { preset: 'lightning' }, 'InvalidConfig|NotSupported'],
  ]
  for (const [name, config, codes] of configs) {
    test(name, async () => {
      const output = await createOutput(inside('refused.mp4'))
      const run = async () => {
        const video = output.addVideo({ codec: 'h264', ...config })
        using one = frame()
        await video.write(one)
        await output.close()
      }
      await assert.rejects(run(), (e) => {
        assert.ok(e instanceof BeamlineError, String(e))
        assert.match(e.code, new RegExp(`^(${codes})$`), e.message)
        return true
      })
      await output.abort().catch(() => undefined)
    })
  }
  test('a level that does not hold the pictures: at once when their size is known, else at the first one', async () => {
    const exceeded = /avc1\.42001e is not supported.*level 3 does not hold.*1280×720.*level 3\.1 does: 'avc1\.42001f'/
    const said = (error: unknown) =>
      refused(error, 'NotSupported', 'codec-not-supported') && exceeded.test((error as Error).message)
    await using output = await createOutput(inside('level.mp4'))
    const config = { codec: 'avc1.42001e', preset: 'ultrafast' }
    assert.throws(() => output.addVideo({ ...config, width: 1280, height: 720 }), said)
    const video = output.addVideo(config)
    using big = new VideoFrame(new Uint8Array(1280 * 720 * 1.5), {
      format: 'I420',
      codedWidth: 1280,
      codedHeight: 720,
      timestamp: 0,
    })
    await assert.rejects(async () => {
      await video.write(big)
      await output.close()
    }, said)
    // What the string holds is what is written.
    await using fitting = await createOutput(inside('level-fits.mp4'))
    await fitting.addVideo({ ...config, codec: 'avc1.42c01f' }).write(big)
    await fitting.close()
    assert.deepEqual(fitting.stats().codecs, ['avc1.42c01f'])
  })

  test('no tracks', async () => {
    const output = await createOutput(inside('no-tracks.mp4'))
    await assert.rejects(output.close(), (e) => e instanceof BeamlineError && e.code === 'InvalidState')
  })
  test('a track without a frame', async () => {
    const output = await createOutput(inside('no-frames.mp4'))
    output.addVideo(QUICK)
    await assert.rejects(output.close(), (e) => e instanceof BeamlineError)
    assert.equal(existsSync(inside('no-frames.mp4')), false)
  })
  test('a track added after the first write', async () => {
    const output = await createOutput(inside('late.mp4'))
    const video = output.addVideo(QUICK)
    using one = frame()
    await video.write(one)
    assert.throws(() => output.addVideo(QUICK), { name: 'BeamlineError', code: 'InvalidState' })
    await output.abort()
  })
  test('a closed frame', async () => {
    const output = await createOutput(inside('closed.mp4'))
    const video = output.addVideo(QUICK)
    const one = frame()
    one.close()
    await assert.rejects(video.write(one), { name: 'InvalidStateError' })
    await output.abort()
  })
  test('write() and addVideo() after close()', async () => {
    const output = await createOutput(inside('over.mp4'))
    const video = output.addVideo(QUICK)
    using one = frame()
    await video.write(one)
    await output.close()
    await assert.rejects(video.write(one), { name: 'BeamlineError', code: 'InvalidState' })
    assert.throws(() => output.addVideo(QUICK), { name: 'BeamlineError', code: 'InvalidState' })
    assert.equal((await output.abort()).complete, true, 'abort() after close() gives its result')
  })
})

test('output errors: after everything here no slot is live and no frame is open', nothingIsHeld)
