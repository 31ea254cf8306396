// Shared outputs between processes: one produces, filters, dies; another reads.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Capture, openCapture, openInput, type VideoFrame } from 'beamline'
import { runModule } from '../helpers/child.js'
import { clip } from '../helpers/media.js'
import { copiesOf, copyOfLook, expectedMode } from '../helpers/memory.js'
import { clean, is, ownNames, sum } from '../helpers/share.js'

ownNames()

/** Waits in a child until somebody reads. */
const READ = `while (output.stats().clients.length === 0) await new Promise((r) => setTimeout(r, 5))`

test('shared output: a child decodes, the parent reads the same bytes in the same memory, 0 copies', async () => {
  const produce = `
    import { createOutput, memory, openInput } from 'beamline'
    const input = await openInput(process.argv.at(-1))
    const output = await createOutput('shared:decoded')
    const video = output.addVideo({ width: 1280, height: 720, frameRate: 25 })
    console.log('ready')
    ${READ}
    for await (const frame of input.video.frames({ to: 1_000_000 })) {
      await video.write(frame)
      frame.close()
    }
    await output.close()
    await input.close()
    const { frames, copies } = output.stats()
    console.log(JSON.stringify({ frames, copies, all: memory.stats().copies }))`
  const seen: Array<[number, string]> = []
  let reading: Promise<void> | undefined
  let format: Capture['format'] | undefined
  let copies = 0
  const ended = await runModule(produce, {
    args: [clip],
    onOutput() {
      reading ??= (async () => {
        await using capture = await openCapture('shared:decoded', { policy: 'drop-oldest', queue: 32 })
        format = capture.format
        copies = await copiesOf(async () => {
          for await (using frame of capture) seen.push([frame.timestamp, sum(frame)])
        })
      })()
    },
  })
  clean(ended)
  await reading
  const own: Array<[number, string]> = []
  await using input = await openInput(clip)
  for await (using frame of input.video!.frames({ to: 1_000_000 })) own.push([frame.timestamp, sum(frame)])
  assert.deepEqual(seen, own)
  assert.equal(own.length, 25)
  assert.deepEqual([format?.width, format?.height, format?.frameRate], [1280, 720, 25])
  assert.deepEqual(JSON.parse(ended.stdout.split('\n')[1] ?? ''), { frames: 25, copies: 0, all: 0 })
  assert.equal(copies, copyOfLook * 25)
})

test('shared output: a producer that is killed is a typed error of its reader', async () => {
  const produce = `
    import { createOutput } from 'beamline'
    const output = await createOutput('shared:dying')
    const video = output.addVideo({ width: 64, height: 32 })
    console.log('ready')
    for (let timestamp = 0; ; timestamp += 10_000) {
      const frame = await video.frame({ timestamp })
      await video.write(frame)
      frame.close()
      await new Promise((r) => setTimeout(r, 10))
    }`
  let reading: Promise<void> | undefined
  const ended = await runModule(produce, {
    onOutput(child) {
      reading ??= (async () => {
        await using capture = await openCapture('shared:dying')
        const all = async () => {
          for await (const frame of capture) {
            frame.close()
            child.kill('SIGKILL')
          }
        }
        await assert.rejects(all, is('DeviceLost', 'owner-gone'))
      })()
    },
  })
  assert.equal(ended.signal, 'SIGKILL', ended.stderr)
  assert.ok(reading)
  await reading
})

test('shared output: a child filters what the parent shares, and the parent reads the result, 0 copies', async () => {
  await using camera = await openCapture('pattern:ball?width=320&height=180&frameRate=50&format=gray8')
  await using share = await camera.share('raw')
  const filter = `
    import { createOutput, memory, openCapture } from 'beamline'
    const camera = await openCapture('shared:raw', { policy: 'drop-oldest' })
    const output = await createOutput('shared:negative')
    const { width, height } = camera.format
    const video = output.addVideo({ width, height })
    console.log('ready')
    for await (const frame of camera) {
      const { timestamp, duration } = frame
      const negative = await video.frame({ timestamp, duration, format: 'gray8' })
      const [from, to] = [frame.planes[0], negative.planes[0]]
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) to.bytes[y * to.stride + x] = 255 - from.bytes[y * from.stride + x]
      frame.close()
      await video.write(negative)
      negative.close()
    }
    await output.close()
    await camera.close()
    console.log(JSON.stringify({ ...output.stats(), all: memory.stats().copies }))`
  const pixels = (frame: VideoFrame) => {
    const { bytes, stride } = frame.planes[0]!
    return Array.from({ length: 180 }, (_, y) => Buffer.from(bytes.subarray(y * stride, y * stride + 320)))
  }
  const raw = new Map<number, Buffer[]>()
  const looking = (async () => {
    for await (using frame of camera.frames({ policy: 'drop-oldest', queue: 64 }))
      raw.set(frame.timestamp, pixels(frame))
  })()
  const negatives = new Map<number, Buffer[]>()
  let reading: Promise<void> | undefined
  const ended = await runModule(filter, {
    onOutput() {
      reading ??= (async () => {
        await using capture = await openCapture('shared:negative', { policy: 'drop-oldest' })
        for await (using frame of capture) {
          negatives.set(frame.timestamp, pixels(frame))
          if (negatives.size === 20) break
        }
        await share.close()
      })()
    },
  })
  clean(ended)
  await reading
  await camera.close()
  await looking
  let both = 0
  for (const [timestamp, rows] of negatives) {
    const before = raw.get(timestamp)
    if (!before) continue
    both++
    for (const [y, row] of rows.entries())
      assert.deepEqual(
        row,
        before[y]!.map((v) => 255 - v),
      )
  }
  assert.ok(both >= 3, `${both} frames were seen on both sides`)
  const { frames, copies, all } = JSON.parse(ended.stdout.split('\n')[1] ?? '') as Record<string, number>
  // In mode `copy` a look at `planes` is a copy, and bringing back what was drawn another.
  assert.deepEqual([copies, all], [0, expectedMode === 'copy' ? frames! * 3 : 0])
})

test('shared output: two shares are open in one process, and neither shows the pictures of the other', async () => {
  const produce = `
    import { createOutput } from 'beamline'
    const outputs = await Promise.all(['left', 'right'].map((name) => createOutput('shared:' + name)))
    const videos = outputs.map((output) => output.addVideo({ width: 64, height: 32 }))
    console.log('ready')
    for (const output of outputs) {
      ${READ}
    }
    for (let timestamp = 1; timestamp <= 100; timestamp++) {
      for (const [side, video] of videos.entries()) {
        const frame = await video.frame({ timestamp, format: 'gray8' })
        frame.planes[0].bytes.fill(timestamp + side * 100)
        await video.write(frame)
        frame.close()
      }
      await new Promise((r) => setTimeout(r, 2))
    }
    await Promise.all(outputs.map((output) => output.close()))`
  let reading: Promise<number[]> | undefined
  const ended = await runModule(produce, {
    onOutput() {
      const side = async (name: string, add: number) => {
        await using capture = await openCapture(`shared:${name}`, { policy: 'drop-oldest' })
        const held: VideoFrame[] = []
        let count = 0
        for await (const frame of capture) {
          count++
          // Three are open at a time, so that slots of both are mapped side by side and anew.
          held.push(frame)
          for (const open of held)
            for (const byte of open.planes[0]!.bytes) assert.equal(byte, open.timestamp + add, name)
          if (held.length === 3) held.shift()?.close()
        }
        for (const frame of held) frame.close()
        return count
      }
      reading ??= Promise.all([side('left', 0), side('right', 100)])
    },
  })
  clean(ended)
  for (const count of (await reading) ?? []) assert.ok(count > 20, `${count} frames`)
})
