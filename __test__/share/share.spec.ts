import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { BeamlineError, type Capture, listDevices, memory, openCapture, openInput, VideoFrame } from 'beamline'
import { runModule } from '../helpers/child.js'
import { clip } from '../helpers/media.js'
import { assertMode, expectedMode, until } from '../helpers/memory.js'
import { clean, is, ownNames, sum } from '../helpers/share.js'

const folder = ownNames()

test('share: the run is in the zero-copy mode that it was asked for', assertMode)

const BALL = 'pattern:ball?width=320&height=180&frameRate=50'

/** A child that reads `count` frames of a share and prints what it saw. */
const reads = (name: string, count: number, then = '') => `
  import { createHash } from 'node:crypto'
  import { memory, openCapture, runtime } from 'beamline'
  const capture = await openCapture('shared:${name}', { policy: 'drop-oldest' })
  const seen = []
  for await (const frame of capture) {
    const hash = createHash('sha1')
    for (const { bytes } of frame.planes) hash.update(bytes)
    seen.push([frame.timestamp, hash.digest('hex')])
    frame.close()
    if (seen.length === ${count}) break
  }
  ${then}
  await capture.close()
  const { copies, live } = memory.stats()
  console.log(JSON.stringify({ seen, copies, live, mode: runtime.zeroCopyMode, format: capture.format }))`

test('share: another process gets the same frames, in its own zero-copy mode, without a copy', async () => {
  const capture = await openCapture(BALL, { queue: 64, policy: 'drop-oldest' })
  const share = await capture.share('same')
  const ours = new Map<number, string>()
  const looking = (async () => {
    for await (const frame of capture) {
      ours.set(frame.timestamp, sum(frame))
      frame.close()
    }
  })()
  const ended = await runModule(reads('same', 40))
  clean(ended)
  await capture.close()
  await looking
  await share.close()
  const { seen, copies, live, mode, format } = JSON.parse(ended.stdout) as {
    seen: Array<[number, string]>
    copies: number
    live: number
    mode: string
    format: Capture['format']
  }
  const both = seen.filter(([timestamp]) => ours.has(timestamp))
  // On a busy machine either side drops: those that both saw are what is compared.
  assert.ok(both.length >= 3, `${both.length} frames were seen by both`)
  for (const [timestamp, hash] of both) assert.equal(hash, ours.get(timestamp))
  assert.equal(mode, expectedMode)
  assert.equal(live, 0)
  assert.equal(copies, mode === 'copy' ? seen.length : 0)
  assert.deepEqual(
    [format.width, format.height, format.frameRate, format.pixelFormat],
    [320, 180, 50, capture.format.pixelFormat],
  )
})

test('share: who reads is told, with what he holds; a reader that is killed leaves nothing behind', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('killed')
  const hold = `import { openCapture } from 'beamline'
    const held = []
    for await (const frame of await openCapture('shared:killed')) if (held.push(frame) === 3) break
    console.log('held')
    setInterval(() => held.length, 1000)`
  let clients = 0
  const ended = await runModule(hold, {
    onOutput(child) {
      const [client] = share.clients
      assert.equal(client?.pid, child.pid)
      assert.ok((client?.held ?? 0) >= 3)
      clients = share.clients.length
      child.kill('SIGKILL')
    },
  })
  assert.equal(ended.signal, 'SIGKILL', ended.stderr)
  assert.equal(clients, 1)
  await until(() => share.clients.length === 0, 'the end of the reader')
  assert.ok(share.stats().swept >= 3)
})

test('share: an owner that is killed is a typed error of its reader, and its name is free again', async () => {
  const own = `import { openCapture } from 'beamline'
    const capture = await openCapture('${BALL}')
    await capture.share('dying')
    console.log('shared')
    setInterval(() => capture.stats(), 1000)`
  let reading: Promise<void> | undefined
  const ended = await runModule(own, {
    onOutput(child) {
      reading ??= (async () => {
        await using reader = await openCapture('shared:dying')
        const all = async () => {
          for await (const frame of reader) {
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
  await using capture = await openCapture(BALL)
  await using share = await capture.share('dying')
  assert.equal(share.name, 'dying')
})

test('share: a file is shared at its own speed; its end ends the readers', async () => {
  await using input = await openInput(clip)
  const begin = performance.now()
  await using share = await input.video!.frames({ to: 600_000 }).share('film')
  await using capture = await openCapture('shared:film', { policy: 'drop-oldest' })
  const times: number[] = []
  for await (const frame of capture) {
    times.push(frame.timestamp)
    frame.close()
  }
  assert.ok(performance.now() - begin > 400, 'as fast as it could')
  assert.ok(times.length >= 10, `${times.length} frames`)
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  )
  assert.equal(share.stats().published, 15)
})

test('share: what is shared is listed, and opened by the id that the list tells', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('listed')
  const [device, ...others] = await listDevices({ kind: 'shared' })
  assert.equal(others.length, 0)
  assert.deepEqual([device?.id, device?.name], [`shared:${share.name}`, 'listed'])
  await using again = await openCapture({ device: device! })
  assert.equal(again.format.width, 320)
})

test('share: names that are taken or cannot be, and a policy that waits, are refused', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('taken')
  await assert.rejects(capture.share(share.name), is('Busy', 'share-taken'))
  await assert.rejects(capture.share('not a name'), is('InvalidConfig', 'share-name'))
  await assert.rejects(openCapture('shared:nobody'), is('NotFound', 'no-such-share'))
  await assert.rejects(openCapture('shared:taken', { policy: 'block' }), is('InvalidConfig', 'bad-option'))
  await assert.rejects(openCapture('shared:taken?width=64'), is('InvalidConfig', 'bad-option'))
  await assert.rejects(capture.share('many', { clients: 0 }), is('InvalidConfig', 'invalid-argument'))
  await share.close()
  assert.deepEqual(readdirSync(folder).sort(), [])
})

test('share: a reader that keeps every frame open is told so, and holds up nobody', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('kept')
  await using reader = await openCapture('shared:kept', { timeoutMs: 100 })
  const held: VideoFrame[] = []
  await assert.rejects(
    async () => {
      for await (const frame of reader) held.push(frame)
    },
    (error) => error instanceof BeamlineError && error.reason === 'frames-not-closed',
  )
  assert.equal(held.length, 4)
  const { published } = share.stats()
  await until(() => share.stats().published > published + 10, 'further frames')
  for (const frame of held) frame.close()
  assert.ok(memory.stats().live >= 0)
})
