// What waits can be cancelled: close(), abort(), writes, against targets and sources that never answer.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createOutput, openCapture, openInput, type Output, type OutputTarget, VideoFrame } from 'beamline'
import { runModule } from '../helpers/child.js'
import { clip, scratch, streamsOf } from '../helpers/media.js'
import { nothingIsHeld, until } from '../helpers/memory.js'

const folder = scratch()
const QUICK = { codec: 'h264', preset: 'ultrafast', keyInterval: 10 } as const

/** Threads of outputs in this process. */
function threads(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      const name = readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim()
      return /^bl-(mux|encode|copy)$/.test(name) ? [name] : []
    } catch {
      return [] // it has just ended
    }
  })
}
const noThreads = () => until(() => threads().length === 0, 'an end of all threads of the output')

/** Rejects within ten seconds with exactly this reason. */
async function rejectsWith(promise: Promise<unknown>, reason: unknown) {
  const late = new Promise((_, reject) => setTimeout(reject, 10_000, new Error('it is still waiting')).unref())
  const got = await Promise.race([promise, late]).then(
    (value) => assert.fail(`it resolved: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  if (reason === 'AbortError') assert.equal((got as Error).name, 'AbortError', String(got))
  else assert.equal(got, reason)
}

async function pictures(output: Output, count: number) {
  const capture = await openCapture(`pattern:ball?width=128&height=96&live=false&frames=${count}`)
  const video = output.addVideo(QUICK)
  for await (const frame of capture) await video.write(frame).finally(() => frame.close())
  await capture.close()
  return video
}

const silent: Record<string, () => OutputTarget> = {
  '{ write } that never answers': () => ({ write: () => new Promise<void>(() => undefined) }),
  'a WritableStream that never answers': () => new WritableStream({ write: () => new Promise<void>(() => undefined) }),
  '{ write, close } whose close never answers': () => ({
    write: () => undefined,
    close: () => new Promise<void>(() => undefined),
  }),
}

describe('a close() that waits', () => {
  for (const [name, target] of Object.entries(silent)) {
    test(`for ${name}: abort() ends it with AbortError`, async () => {
      const output = await createOutput(target())
      await pictures(output, 25)
      const closing = output.close()
      closing.catch(() => undefined)
      await new Promise((resolve) => setTimeout(resolve, 100))
      const begin = performance.now()
      const aborted = output.abort()
      await rejectsWith(closing, 'AbortError')
      assert.equal((await aborted).complete, false)
      assert.ok(performance.now() - begin < 3000, 'abort() itself waits for nobody')
      await noThreads()
      await rejectsWith(output.close(), 'AbortError')
    })

    test(`for ${name}: its signal ends it with the signal's reason`, async () => {
      const output = await createOutput(target())
      await pictures(output, 25)
      const reason = new Error('enough of this')
      const controller = new AbortController()
      const closing = output.close({ signal: controller.signal })
      setTimeout(() => controller.abort(reason), 50)
      await rejectsWith(closing, reason)
      await noThreads()
      await rejectsWith(output.close(), reason)
    })

    test(`for ${name}: the signal of createOutput ends it, too`, async () => {
      const reason = new Error('enough of all')
      const controller = new AbortController()
      const output = await createOutput(target(), { signal: controller.signal })
      await pictures(output, 25)
      const closing = output.close()
      setTimeout(() => controller.abort(reason), 50)
      await rejectsWith(closing, reason)
      await noThreads()
    })
  }

  test('for a copy of a source that never answers', async () => {
    const bytes = readFileSync(clip)
    let answers = true
    const read = (offset: number, length: number) =>
      answers ? bytes.subarray(offset, offset + length) : new Promise<Uint8Array>(() => undefined)
    const input = await openInput({ size: bytes.length, read })
    for (const way of ['abort', 'signal'] as const) {
      const output = await createOutput(join(folder, `copy-${way}.mp4`))
      answers = false
      output.copy(input.audio!)
      await pictures(output, 25)
      const controller = new AbortController()
      const closing = output.close({ signal: controller.signal })
      closing.catch(() => undefined)
      await new Promise((resolve) => setTimeout(resolve, 50))
      if (way === 'abort') {
        const { playable } = await output.abort()
        assert.equal(playable, false)
        await rejectsWith(closing, 'AbortError')
      } else {
        controller.abort('no more')
        await rejectsWith(closing, 'no more')
      }
      await noThreads()
      answers = true
    }
    await input.close()
  })

  test('for room: the write that waits and close() reject with the reason', async () => {
    const output = await createOutput({ write: () => new Promise<void>(() => undefined) })
    const video = output.addVideo({ ...QUICK, queue: 1 })
    const picture = (timestamp: number) =>
      new VideoFrame(new Uint8Array(64 * 64 * 1.5), { format: 'I420', codedWidth: 64, codedHeight: 64, timestamp })
    const writes: Array<Promise<void>> = []
    for (let n = 0; n < 200; n++) {
      const one = picture(n * 40_000)
      writes.push(video.write(one))
      one.close()
    }
    const reason = new Error('no room, no time')
    const controller = new AbortController()
    const closing = output.close({ signal: controller.signal })
    const late = picture(1e9)
    await assert.rejects(video.write(late), { code: 'InvalidState', reason: 'closed' }, 'close() takes nothing more')
    late.close()
    setTimeout(() => controller.abort(reason), 50)
    await rejectsWith(closing, reason)
    const how = await Promise.allSettled(writes)
    const refused = how.filter((one) => one.status === 'rejected')
    assert.ok(refused.length > 0, 'no write has waited')
    for (const one of refused) assert.equal(one.reason, reason)
    await noThreads()
  })
})

test('write({ signal }): thirty that wait share one listener, cancel in their order, and Node warns of nothing', async () => {
  const warnings: string[] = []
  const note = (warning: Error) => void warnings.push(String(warning))
  process.on('warning', note)
  const output = await createOutput({ write: () => new Promise<void>(() => undefined) })
  const video = output.addVideo({ ...QUICK, queue: 1 })
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++
    addEventListener.apply(signal, args)
  }
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--
    removeEventListener.apply(signal, args)
  }
  const ended: number[] = []
  const bytes = new Uint8Array(64 * 64 * 1.5)
  const write = (n: number) => {
    const init = { format: 'I420', codedWidth: 64, codedHeight: 64, timestamp: n * 40_000 } as const
    using frame = new VideoFrame(bytes, init)
    return video.write(frame, { signal, keyFrame: true })
  }
  // Fill everything on the way: a fragment that the target never takes, then the queue.
  let waits = false
  let n = 0
  while (!waits) {
    const writing = write(n++)
    waits = await Promise.race([
      writing.then(() => false),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 300)),
    ])
    if (waits) writing.catch(() => ended.push(-1))
  }
  assert.equal(listeners, 1)
  const writes = Array.from({ length: 30 }, (_, i) => write(n + i).catch((e: unknown) => (ended.push(i), e)))
  assert.equal(listeners, 1)
  const reason = new Error('enough')
  controller.abort(reason)
  assert.deepEqual(
    await Promise.all(writes),
    Array.from({ length: 30 }, () => reason),
  )
  assert.deepEqual(ended, [-1, ...Array.from({ length: 30 }, (_, i) => i)])
  assert.equal(listeners, 0)
  await output.abort().catch(() => undefined)
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', note)
  assert.deepEqual(warnings, [])
})

test('close({ signal }) with a signal that is aborted already: rejects with its reason, and gives up', async () => {
  const path = join(folder, 'aborted.mp4')
  const output = await createOutput(path)
  await pictures(output, 25)
  await rejectsWith(output.close({ signal: AbortSignal.abort('before') }), 'before')
  await noThreads()
  assert.equal((await output.abort()).complete, false)
})

test('close({ signal }) that is not aborted completes the file; aborting later changes nothing', async () => {
  const path = join(folder, 'complete.mp4')
  const controller = new AbortController()
  const output = await createOutput(path, { signal: controller.signal })
  await pictures(output, 25)
  assert.equal((await output.close({ signal: controller.signal })).complete, true)
  controller.abort()
  assert.equal((await output.close()).complete, true)
  assert.equal((await output.abort()).complete, true)
  assert.equal(streamsOf(path)[0]?.nb_read_frames, '25')
})

test('a target that answers late is closed after its write, not during it', async () => {
  const said: string[] = []
  let answer = () => undefined as void
  const output = await createOutput({
    write: async () => {
      said.push('write')
      await new Promise<void>((resolve) => (answer = resolve))
      said.push('written')
    },
    close: () => void said.push('close'),
  })
  await pictures(output, 25)
  const closing = output.close()
  closing.catch(() => undefined)
  // The first fragments are let through, so that there is something to keep.
  while (output.stats().fragments < 1) {
    answer()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await until(() => said.at(-1) === 'write', 'a write that waits')
  await output.abort()
  assert.equal(said.at(-1), 'write')
  answer()
  await until(() => said.at(-1) === 'close', 'close()')
  assert.equal(said.at(-2), 'written')
})

test('a process whose output was given up against a silent target ends by itself', async () => {
  const { code, stdout, stderr, ms } = await runModule(
    `import { createOutput, openCapture } from 'beamline'
     const output = await createOutput({ write: () => new Promise(() => undefined) })
     const video = output.addVideo(${JSON.stringify(QUICK)})
     const capture = await openCapture('pattern:ball?width=128&height=96&live=false&frames=25')
     for await (const frame of capture) await video.write(frame).finally(() => frame.close())
     await capture.close()
     await output.close({ signal: AbortSignal.timeout(100) }).catch((error) => console.log(error.name))`,
    { timeoutMs: 20_000 },
  )
  assert.deepEqual([code, stdout.trim()], [0, 'TimeoutError'], stderr)
  assert.ok(ms < 10_000)
})

test('what is no frame or chunk is refused by a promise, not by a throw', async () => {
  const output = await createOutput({ write: () => undefined })
  await using input = await openInput(clip)
  const tracks = [output.addVideo(QUICK), output.addAudio(input.audio!.decoderConfig)]
  tracks.push(output.addVideoChunks(input.video!.decoderConfig))
  for (const track of tracks) {
    for (const wrong of ['x', undefined, null, {}]) {
      const write = track.write.bind(track) as (item: unknown, options?: unknown) => Promise<void>
      const promise = write(wrong)
      await assert.rejects(promise, { name: 'BeamlineError', code: 'InvalidConfig', reason: 'invalid-argument' })
      await assert.rejects(write(wrong, 7), { code: 'InvalidConfig' })
    }
  }
  await assert.rejects(output.close(7 as unknown as object), { code: 'InvalidConfig' })
  await output.abort()
})

test('cancel: after everything here no slot is live and no frame is open', nothingIsHeld)
