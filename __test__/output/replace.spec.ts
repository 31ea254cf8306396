// Files that are there already, and timestamps that go back.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { BeamlineError, createOutput, openCapture, openInput, type Output, VideoFrame } from 'beamline'
import { runModule } from '../helpers/child.js'
import { clip, files, packetsOf, root, scratch, streamsOf } from '../helpers/media.js'
import { nothingIsHeld, until } from '../helpers/memory.js'

const folder = scratch()
const QUICK = { codec: 'h264', preset: 'ultrafast', keyInterval: 10 } as const
const frames = (path: string) => Number(streamsOf(path)[0]?.nb_read_frames)

function picture(timestamp: number) {
  return new VideoFrame(new Uint8Array(64 * 64 * 1.5), { format: 'I420', codedWidth: 64, codedHeight: 64, timestamp })
}

/** Writes `count` pictures into a new track. */
async function pictures(output: Output, count: number) {
  const video = output.addVideo(QUICK)
  for (let n = 0; n < count; n++) {
    const one = picture(n * 40_000)
    await video.write(one).finally(() => one.close())
  }
}

function precious(name: string) {
  const path = join(folder, name)
  copyFileSync(clip, path)
  return path
}

describe('createOutput: a file that is there', () => {
  const bytes = readFileSync(clip)

  for (const fragmented of [true, false]) {
    test(`lives on when the new one is aborted early (fragmented: ${fragmented})`, async () => {
      const path = precious(`aborted-${fragmented}.mp4`)
      const output = await createOutput(path, { fragmented })
      await pictures(output, 1)
      const report = await output.abort()
      assert.deepEqual([report.complete, report.playable], [false, false])
      assert.ok(readFileSync(path).equals(bytes))
    })

    test(`lives on when the new one fails to begin (fragmented: ${fragmented})`, async () => {
      const path = precious(`failed-${fragmented}.mp4`)
      await assert.rejects(createOutput(path, { fragmented, container: 'avi' as 'mp4' }))
      const output = await createOutput(path, { fragmented })
      output.addVideo(QUICK)
      await assert.rejects(output.close(), { reason: 'empty-output' })
      assert.ok(readFileSync(path).equals(bytes))
    })
  }

  test('is read to its end by an input that has it open, while it is replaced', async () => {
    const path = precious('source.mp4')
    await using input = await openInput(path)
    const output = await createOutput(path)
    const video = output.addVideo(QUICK)
    output.copy(input.audio!)
    let n = 0
    for await (const frame of input.video!.frames()) {
      await video.write(frame).finally(() => frame.close())
      n++
    }
    assert.equal(n, frames(clip))
    assert.equal((await output.close()).complete, true)
    assert.equal(frames(path), n)
    assert.equal(packetsOf(path, 'a:0').length, packetsOf(clip, 'a:0').length)
  })

  test('is replaced with the first whole fragment, and the new one plays while it grows', async () => {
    const path = precious('growing.mp4')
    const output = await createOutput(path)
    const video = output.addVideo(QUICK)
    for (let n = 0; output.stats().fragments < 2; n++) {
      const one = picture(n * 40_000)
      await video.write(one).finally(() => one.close())
    }
    const before = frames(path)
    assert.ok(before >= 20, `${before} frames of two whole fragments`)
    await output.close()
    assert.ok(frames(path) >= before)
  })

  test('leaves its permissions to the new one; a link stays a link', async () => {
    const path = precious('private.mp4')
    chmodSync(path, 0o600)
    const link = join(folder, 'link.mp4')
    symlinkSync('private.mp4', link)
    const output = await createOutput(link)
    await pictures(output, 25)
    await output.close()
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(frames(path), 25)
  })

  test('lives on when the process is killed before the first fragment, and nothing else is left', async () => {
    const path = precious('killed.mp4')
    const names = readdirSync(folder).sort()
    const { signal } = await runModule(
      `import { createOutput, VideoFrame } from 'beamline'
       const output = await createOutput(${JSON.stringify(path)})
       const video = output.addVideo(${JSON.stringify(QUICK)})
       const init = { format: 'I420', codedWidth: 64, codedHeight: 64, timestamp: 0 }
       await video.write(new VideoFrame(new Uint8Array(64 * 64 * 1.5), init))
       console.log('written')
       setInterval(() => undefined, 1000)`,
      { onOutput: (child) => child.kill('SIGKILL') },
    )
    assert.equal(signal, 'SIGKILL')
    assert.ok(readFileSync(path).equals(bytes))
    assert.deepEqual(readdirSync(folder).sort(), names)
  })
})

test('what is no plain file is written directly and stays: /dev/null, /dev/stdout, a pipe', async () => {
  const null_ = await createOutput('/dev/null', { container: 'mp4' })
  await pictures(null_, 1)
  await null_.abort()
  assert.ok(statSync('/dev/null').isCharacterDevice())

  const pipe = join(folder, 'pipe.mp4')
  execFileSync('mkfifo', [pipe])
  await assert.rejects(
    createOutput(pipe),
    (e) => e instanceof BeamlineError && /nobody reads this pipe/.test(e.message),
  )
  assert.ok(statSync(pipe).isFIFO())

  // A pipe of the shell's: what Node makes for its children is a socket, which no path opens.
  const code = `import { createOutput, VideoFrame } from 'beamline'
     const output = await createOutput('/dev/stdout', { container: 'mp4' })
     const video = output.addVideo(${JSON.stringify(QUICK)})
     const init = { format: 'I420', codedWidth: 64, codedHeight: 64, timestamp: 0 }
     await video.write(new VideoFrame(new Uint8Array(64 * 64 * 1.5), init))
     await output.close()`
  const args = ['-c', '"$0" --input-type=module -e "$1" | cat', process.execPath, code]
  const piped = join(folder, 'piped.mp4')
  writeFileSync(piped, execFileSync('sh', args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] }))
  assert.equal(frames(piped), 1)
})

test('a full pipe: abort() ends the wait', async () => {
  const pipe = join(folder, 'full-pipe.mp4')
  execFileSync('mkfifo', [pipe])
  const reader = spawn('sh', ['-c', 'exec sleep 60 <"$1"', 'sh', pipe])
  try {
    let output: Output | undefined
    const begin = performance.now()
    // The reader needs a moment to open it.
    while (!output && performance.now() - begin < 10_000) output = await createOutput(pipe).catch(() => undefined)
    assert.ok(output)
    const capture = await openCapture('pattern:noise?width=320&height=240&live=false&frames=30')
    const video = output.addVideo(QUICK)
    for await (const frame of capture)
      void video
        .write(frame)
        .catch(() => undefined)
        .finally(() => frame.close())
    await capture.close()
    const closing = output.close()
    closing.catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await output.abort()
    await assert.rejects(closing, { name: 'AbortError' })
  } finally {
    reader.kill()
  }
  assert.ok(existsSync(pipe))
})

describe('timestamps that do not rise', () => {
  const order = (error: unknown, ...times: number[]) => {
    assert.ok(error instanceof BeamlineError, String(error))
    assert.deepEqual([error.code, error.reason], ['InvalidConfig', 'timestamp-order'])
    for (const time of times) assert.ok(error.message.includes(` ${time} µs`), error.message)
    return true
  }

  test('of frames: that write rejects, the others are in the file', async () => {
    const path = join(folder, 'order.mp4')
    const output = await createOutput(path)
    const video = output.addVideo(QUICK)
    for (const at of [0, 40_000, 80_000]) {
      const one = picture(at)
      await video.write(one)
      await assert.rejects(video.write(one), (e) => order(e, at, at))
      one.close()
      const back = picture(at - 20_000)
      await assert.rejects(video.write(back), (e) => order(e, at, at - 20_000))
      back.close()
    }
    await output.close()
    assert.deepEqual(
      packetsOf(path, 'v:0').map((packet) => packet.pts),
      [0, 40_000, 80_000],
    )
  })

  test('of chunks: their decoding times count; those of B-frames are right as they are', async () => {
    const path = join(folder, 'chunks.mp4')
    await using input = await openInput(files.bFrames())
    const output = await createOutput(path)
    const video = output.addVideoChunks(input.video!.decoderConfig)
    let [count, shown, reordered] = [0, -Infinity, 0]
    for await (const chunk of input.video!.chunks()) {
      await video.write(chunk)
      await assert.rejects(video.write(chunk), (e) => order(e))
      if (chunk.timestamp < shown) reordered++
      shown = chunk.timestamp
      count++
    }
    assert.ok(reordered > 0, 'there are no B-frames in it')
    await output.close()
    assert.equal(packetsOf(path, 'v:0').length, count)
  })
})

test('replace: nothing of ours is left in the folder', async () => {
  await until(() => readdirSync(folder).every((name) => !name.startsWith('.')), 'a folder without leftovers')
})
test('replace: after everything here no slot is live and no frame is open', nothingIsHeld)
