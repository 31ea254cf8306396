import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import {
  BeamlineError,
  createOutput,
  type CreateOutputOptions,
  openCapture,
  openInput,
  type OutputTarget,
  VideoFrame,
} from 'beamline'
import { runModule, runNode } from '../helpers/child.js'
import { files, packetsOf, root, scratch, streamsOf } from '../helpers/media.js'
import { nothingIsHeld } from '../helpers/memory.js'

const folder = scratch()
const QUICK = { codec: 'h264', preset: 'ultrafast', keyInterval: 10 } as const

/** Writes `count` pictures and gives the report. */
async function record(target: OutputTarget, options: CreateOutputOptions = {}, count = 30) {
  const capture = await openCapture(`pattern:ball?width=128&height=96&live=false&frames=${count}`)
  const output = await createOutput(target, options)
  const video = output.addVideo(QUICK)
  try {
    for await (const frame of capture) await video.write(frame).finally(() => frame.close())
    return await output.close()
  } finally {
    await capture.close()
    await output.abort().catch(() => undefined)
  }
}

/** A file of our own that can seek. */
function sheet() {
  let bytes = new Uint8Array(0)
  let at = 0
  return {
    bytes: () => bytes,
    write(chunk: Uint8Array) {
      if (at + chunk.length > bytes.length) {
        const more = new Uint8Array(at + chunk.length)
        more.set(bytes)
        bytes = more
      }
      bytes.set(chunk, at)
      at += chunk.length
    },
    seek(offset: number) {
      at = offset
    },
  }
}

const boxes = (bytes: Uint8Array) => {
  const names: string[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + 8 <= bytes.length;) {
    names.push(Buffer.from(bytes.subarray(at + 4, at + 8)).toString('latin1'))
    const size = view.getUint32(at)
    at += size === 1 ? Number(view.getBigUint64(at + 8)) : size || bytes.length
  }
  return names
}

describe('createOutput: every target gets a file with all 30 pictures', () => {
  const collected = () => {
    const parts: Uint8Array[] = []
    return { parts, write: (bytes: Uint8Array) => void parts.push(bytes.slice()) }
  }
  const targets: Record<string, () => [OutputTarget, CreateOutputOptions, () => Uint8Array]> = {
    path: () => [join(folder, 'path.mp4'), {}, () => readFileSync(join(folder, 'path.mp4'))],
    'file: URL': () => [pathToFileURL(join(folder, 'url.mp4')), {}, () => readFileSync(join(folder, 'url.mp4'))],
    'path, MOV': () => [join(folder, 'path.mov'), {}, () => readFileSync(join(folder, 'path.mov'))],
    'path, plain': () => [
      join(folder, 'plain.mp4'),
      { fragmented: false },
      () => readFileSync(join(folder, 'plain.mp4')),
    ],
    '{ write }': () => {
      const { parts, write } = collected()
      return [{ write }, {}, () => Buffer.concat(parts)]
    },
    '{ write, seek }, plain': () => {
      const target = sheet()
      return [target, { fragmented: false, container: 'mp4' }, target.bytes]
    },
    WritableStream: () => {
      const { parts, write } = collected()
      return [new WritableStream({ write }), {}, () => Buffer.concat(parts)]
    },
  }
  for (const [name, make] of Object.entries(targets)) {
    test(name, async () => {
      const [target, options, bytes] = make()
      const report = await record(target, options)
      assert.deepEqual([report.complete, report.playable], [true, true])
      const names = boxes(bytes())
      if (options.fragmented === false) {
        assert.equal(report.fragments, 0)
        assert.ok(names.indexOf('moov') < names.indexOf('mdat'), `index in front: ${names.join()}`)
        assert.ok(!names.includes('moof'))
      } else {
        assert.equal(names.filter((n) => n === 'moof').length, report.fragments)
        assert.ok(report.fragments >= 3)
      }
      const copy = join(folder, `${name.replace(/\W+/g, '-')}.copy.mp4`)
      writeFileSync(copy, bytes())
      assert.equal(streamsOf(copy)[0]?.nb_read_frames, '30')
    })
  }
})

test('a target that fails: a typed error with its words at write() or close()', async () => {
  let writes = 0
  const write = () => {
    if (++writes > 2) throw new Error('the tape is full')
  }
  await assert.rejects(record({ write }, {}, 200), (e) => {
    assert.ok(e instanceof BeamlineError, String(e))
    assert.match(e.message, /the tape is full/)
    return true
  })
  assert.ok(writes > 2)
})

test('abort() before the first fragment removes the file and says so', async () => {
  const path = join(folder, 'aborted-early.mp4')
  const output = await createOutput(path)
  const video = output.addVideo(QUICK)
  using frame = new VideoFrame(new Uint8Array(64 * 64 * 1.5), {
    format: 'I420',
    codedWidth: 64,
    codedHeight: 64,
    timestamp: 0,
  })
  await video.write(frame)
  const report = await output.abort()
  assert.deepEqual([report.complete, report.playable], [false, false])
  assert.equal(existsSync(path), false)
})

for (const way of ['abort()', 'leaving `await using` without close()']) {
  test(`${way} later keeps a playable file`, async () => {
    const path = join(folder, `aborted-late-${way.length}.mp4`)
    const capture = await openCapture('pattern:ball?width=128&height=96&live=false&frames=200')
    let fragments = 0
    {
      await using output = await createOutput(path)
      const video = output.addVideo(QUICK)
      for await (const frame of capture) {
        await video.write(frame)
        frame.close()
        fragments = output.stats().fragments
        if (fragments >= 3) break
      }
      if (way === 'abort()') {
        const report = await output.abort()
        assert.deepEqual([report.complete, report.playable], [false, true])
      }
    }
    await capture.close()
    const frames = Number(streamsOf(path)[0]?.nb_read_frames)
    assert.ok(fragments >= 3 && frames >= 20, `${frames} frames in ${fragments} fragments`)
  })
}

test('a process that is killed in the middle leaves a playable file', async () => {
  const path = join(folder, 'killed.mp4')
  const { signal } = await runModule(
    `import { createOutput, openCapture } from 'beamline'
     const capture = await openCapture('pattern:ball?width=128&height=96&live=false')
     const output = await createOutput(${JSON.stringify(path)})
     const video = output.addVideo(${JSON.stringify(QUICK)})
     for await (const frame of capture) {
       await video.write(frame)
       frame.close()
       if (output.stats().fragments > 4) console.log('enough')
     }`,
    { onOutput: (child) => child.kill('SIGKILL') },
  )
  assert.equal(signal, 'SIGKILL')
  assert.ok(Number(streamsOf(path)[0]?.nb_read_frames) >= 40)
})

test(
  'a full disk: `disk-full`, and the file plays up to that point',
  { skip: process.getuid?.() !== 0 && 'mounting a small file system needs root' },
  async (t) => {
    const small = join(folder, 'small')
    mkdirSync(small)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', small], { stdio: 'pipe' })
    } catch (error) {
      t.skip(`no tmpfs can be mounted here: ${(error as Error).message.split('\n').at(-2) ?? ''}`)
      return
    }
    try {
      const path = join(small, 'full.mp4')
      const capture = await openCapture('pattern:noise?width=128&height=96&live=false')
      const output = await createOutput(path)
      const video = output.addVideo(QUICK)
      const writing = (async () => {
        for await (const frame of capture) {
          await video.write(frame).finally(() => frame.close())
        }
      })()
      await assert.rejects(writing, (e) => e instanceof BeamlineError && e.reason === 'disk-full' && e.code === 'Quota')
      await assert.rejects(output.close(), (e) => {
        assert.ok(e instanceof BeamlineError && e.reason === 'disk-full')
        assert.match(e.hint ?? '', /abort\(\) tells/)
        return true
      })
      const left = await output.abort()
      assert.deepEqual([left.complete, left.playable, left.fragments > 0], [false, true, true])
      await capture.close()
      assert.ok(Number(streamsOf(path)[0]?.nb_read_frames) >= 10)
      const source = 'pattern:noise?width=320&height=240&frameRate=30'
      const record = (...more: string[]) =>
        runNode([join(root, 'dist/cli/main.js'), 'record', source, '--fast', '--no-poster', ...more])
      const none = await record('-o', join(small, 'none.mp4'))
      assert.equal(none.code, 4, none.stderr)
      assert.match(none.stderr, /nothing playable was written/)
      assert.deepEqual(readdirSync(small), ['full.mp4'])
      rmSync(path)
      const some = await record('-o', path, '--bitrate', '500k', '--duration', '60')
      assert.equal(some.code, 4, some.stderr)
      assert.match(some.stderr, /what was written before is playable/)
      assert.ok(Number(streamsOf(path)[0]?.nb_read_frames) >= 10)
    } finally {
      execFileSync('umount', [small])
    }
  },
)

/**
 * When the first picture and the first sound are due, in µs, by their packets: ffprobe 5.1 does not carry out edit lists of fragmented
 * files, not of `ffmpeg`'s own either, so decoded sound tells nothing.
 */
const firstTimes = (path: string) => ['v:0', 'a:0'].map((stream) => packetsOf(path, stream)[0]?.pts ?? Number.NaN)

test('edit lists and priming: first picture and first sound lie where those of the plain form lie', async () => {
  const starts: number[][] = []
  for (const fragmented of [true, false]) {
    const path = join(folder, `priming-${fragmented}.mp4`)
    await using input = await openInput(files.bFrames())
    const output = await createOutput(path, { fragmented })
    output.copy(input.video!)
    output.copy(input.audio!)
    await output.close()
    starts.push(firstTimes(path))
  }
  const source = firstTimes(files.bFrames())
  console.log(`# start times: ${JSON.stringify({ source, fragmented: starts[0], plain: starts[1] })}`)
  const sample = 1e6 / 44_100
  for (const [i, plain] of (starts[1] ?? []).entries()) {
    assert.ok(Math.abs(plain - (starts[0]?.[i] ?? Number.NaN)) <= sample, `track ${i}`)
    assert.ok(Math.abs(plain - (source[i] ?? Number.NaN)) <= sample, `track ${i} against the source`)
  }
})

test('targets: after everything here no slot is live and no frame is open', nothingIsHeld)
