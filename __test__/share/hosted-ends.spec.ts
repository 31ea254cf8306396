// How a share ends that one process hosts and another one fills: the producer's death, the host's close, for all three sides.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { test } from 'node:test'
import { BeamlineError, createOutput, openCapture, type VideoFrame } from 'beamline'
import { runModule } from '../helpers/child.js'
import { assertMode, until } from '../helpers/memory.js'
import { clean, draws, greys, is, ownNames } from '../helpers/share.js'

ownNames()

test('hosted ends: the run is in the zero-copy mode that it was asked for', assertMode)

test('hosted ends: a producer that is killed is an error of the host within 100 ms, and what it drew stays', async () => {
  await using capture = await openCapture('shared:killed', { host: true, queue: 64, policy: 'drop-oldest' })
  let killed = 0
  const held: VideoFrame[] = []
  const reading = (async () => {
    for await (const frame of capture) held.push(frame)
  })()
  reading.catch(() => undefined)
  const ended = await runModule(draws('killed', 3, "console.log('drawn'); setInterval(() => out.stats(), 1000)"), {
    onOutput(child) {
      killed = performance.now()
      child.kill('SIGKILL')
    },
  })
  assert.equal(ended.signal, 'SIGKILL', ended.stderr)
  await assert.rejects(
    reading,
    (error) => error instanceof BeamlineError && error.code === 'DeviceLost' && error.reason === 'producer-gone',
  )
  const knew = performance.now() - killed
  assert.ok(knew < 100, `known after ${knew} ms`)
  assert.deepEqual(
    held.map((frame) => [...greys(frame)]),
    [[1], [2], [3]],
  )
  for (const frame of held) frame.close()
})

/** A child that draws until it is told why it cannot; then it closes, and tells that. */
const drawsOn = (name: string) => `
  import { createOutput } from 'beamline'
  const out = await createOutput('shared:${name}')
  const video = out.addVideo({ width: 320, height: 180 })
  let told
  for (let n = 1; !told; n++) {
    try {
      const frame = await video.frame({ timestamp: n * 20000 })
      for (const { bytes } of frame.planes) bytes.fill(n)
      await video.write(frame)
      frame.close()
    } catch ({ code, reason, message }) {
      told = { code, reason, message }
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await out.close()
  console.log(JSON.stringify(told))`

/** The first `count` frames of a capture. */
async function some(capture: AsyncIterable<VideoFrame>, count: number): Promise<VideoFrame[]> {
  const frames: VideoFrame[] = []
  for await (const frame of capture) if (frames.push(frame) === count) break
  return frames
}

test('hosted ends: a third process that reads is told of the death of the producer, and what it holds stays', async () => {
  await using capture = await openCapture('shared:third', { host: true, queue: 64, policy: 'drop-oldest' })
  const reading = (async () => {
    for await (const frame of capture) frame.close()
  })()
  let producer: ChildProcess | undefined
  let [held, killed] = [false, 0]
  const killOnce = () => {
    if (!held || !producer || killed) return
    killed = performance.now()
    producer.kill('SIGKILL')
  }
  const third = runModule(
    `
    import { memory, openCapture } from 'beamline'
    const capture = await openCapture('shared:third', { policy: 'drop-oldest', queue: 8 })
    const held = []
    let told
    console.log('reads')
    try {
      for await (const frame of capture) if (held.push(frame) === 3) console.log('holds')
    } catch ({ code, reason }) {
      told = { code, reason, at: Date.now() }
    }
    // Long after: the memory of one that is gone would be somebody else's by now.
    await new Promise((resolve) => setTimeout(resolve, 200))
    const seen = held.map(({ timestamp, planes }) => [timestamp / 20000, ...new Set(planes.flatMap(({ bytes }) => [...bytes.subarray(0, 64)]))])
    for (const frame of held) frame.close()
    await capture.close()
    console.log(JSON.stringify({ told, seen, live: memory.stats().live }))`,
    {
      onOutput(_child, stdout) {
        held = stdout.includes('holds')
        killOnce()
      },
    },
  )
  await until(() => capture.clients?.length === 1, 'the third process')
  const drawing = runModule(draws('third', 3, "console.log('drawn'); setInterval(() => out.stats(), 1000)"), {
    onOutput(child) {
      producer = child
      killOnce()
    },
  })
  await assert.rejects(reading, is('DeviceLost', 'producer-gone'))
  assert.equal((await drawing).signal, 'SIGKILL')
  const ended = await third
  clean(ended)
  const { told, seen, live } = JSON.parse(ended.stdout.split('\n').at(-2) ?? '') as {
    told?: { code: string; reason: string; at: number }
    seen: number[][]
    live: number
  }
  assert.deepEqual([told?.code, told?.reason, live], ['DeviceLost', 'producer-gone', 0])
  assert.deepEqual(
    seen,
    [1, 2, 3].map((n) => [n, n]),
  )
})

test('hosted ends: a producer is told that its host has closed, as an end and not as a death', async () => {
  const capture = await openCapture('shared:closing', { host: true, queue: 8, policy: 'drop-oldest' })
  const drawing = runModule(drawsOn('closing'))
  const kept = await some(capture, 5)
  await capture.close()
  const ended = await drawing
  clean(ended)
  const told = JSON.parse(ended.stdout) as { code: string; reason: string; message: string }
  assert.deepEqual([told.code, told.reason], ['InvalidState', 'host-closed'])
  assert.match(told.message, /'closing' has closed it/)
  for (const frame of kept) {
    assert.deepEqual([...greys(frame)], [frame.timestamp / 20000])
    frame.close()
  }
})

test('hosted ends: a host closes at once though its producer is stopped, and that is told when it goes on', async () => {
  const capture = await openCapture('shared:stopped', { host: true, queue: 8, policy: 'drop-oldest' })
  const drawing = runModule(drawsOn('stopped'))
  const kept = await some(capture, 5)
  const pid = capture.clients?.find((client) => client.produces)?.pid ?? 0
  assert.ok(pid > 0)
  process.kill(pid, 'SIGSTOP')
  const begin = performance.now()
  await capture.close()
  const ms = performance.now() - begin
  console.log(`# a host with a stopped producer closed in ${ms.toFixed(0)} ms`)
  assert.ok(ms < 1000, `${ms} ms`)
  // The name is free, and who comes next has nothing to do with the one that is stopped.
  await using again = await openCapture('shared:stopped', { host: true })
  assert.deepEqual(again.clients, [])
  await new Promise((resolve) => setTimeout(resolve, 200))
  for (const frame of kept) assert.deepEqual([...greys(frame)], [frame.timestamp / 20000])
  process.kill(pid, 'SIGCONT')
  const ended = await drawing
  clean(ended)
  const told = JSON.parse(ended.stdout) as { code: string; reason: string }
  assert.deepEqual([told.code, told.reason], ['InvalidState', 'host-closed'])
  assert.deepEqual([again.clients, again.stats().captured], [[], 0])
  for (const frame of kept) frame.close()
})

test('hosted ends: after the end of its producer nobody fills a share any more, and its host reads what came before', async () => {
  await using capture = await openCapture('shared:ended', { host: true, queue: 8, policy: 'drop-oldest' })
  clean(await runModule(draws('ended', 3, 'await out.close()')))
  await assert.rejects(createOutput('shared:ended'), is('InvalidState', 'share-ended'))
  const seen: number[][] = []
  for await (const frame of capture) {
    seen.push([...greys(frame)])
    frame.close()
  }
  assert.deepEqual(seen, [[1], [2], [3]])
  await until(() => capture.clients?.length === 0, 'the end of the share')
  await assert.rejects(capture.invite(), is('InvalidState', 'closed'))
})
