import assert from 'node:assert/strict'
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type DeviceChange, encodeImage, listDevices, memory, openCapture, VideoFrame, watchDevices } from 'beamline'
import { runModule } from '../helpers/child.js'
import { scratch } from '../helpers/media.js'
import { assertMode, nothingIsHeld, until } from '../helpers/memory.js'

const folder = scratch()
before(() => {
  process.env['BEAMLINE_SHARES'] = join(folder, 'names')
})
after(() => nothingIsHeld())

test('watchDevices: the run is in the zero-copy mode that it was asked for', assertMode)

const BALL = 'pattern:ball?width=64&height=36&frameRate=50'
const told = ({ type, device }: DeviceChange) => `${type} ${device.id}`

/** Fds that are open, those of memory apart: a source may get more of it. */
function openFds(): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return 'memfd: of the look itself'
    }
  })
  return links.filter((link) => !link.includes('memfd:')).length
}

/** The next change, and when it was told. */
async function next(changes: AsyncIterator<DeviceChange>): Promise<{ text: string; at: number; change: DeviceChange }> {
  const { value, done } = await changes.next()
  assert.ok(!done, 'the watch has ended by itself')
  return { text: told(value as DeviceChange), at: performance.now(), change: value as DeviceChange }
}

test('watchDevices: what is shared comes first, then what comes and goes', async () => {
  await using capture = await openCapture(BALL)
  const first = await capture.share('first')
  const changes = watchDevices({ kind: 'shared' })
  const { text, change } = await next(changes)
  assert.equal(text, 'added shared:first')
  assert.deepEqual(change.device, (await listDevices({ kind: 'shared' }))[0])
  let late = 0
  for (let i = 0; i < 10; i++) {
    const begin = performance.now()
    const second = await capture.share('second')
    const came = await next(changes)
    assert.equal(came.text, 'added shared:second')
    const end = performance.now()
    await second.close()
    const went = await next(changes)
    assert.equal(went.text, 'removed shared:second')
    late = Math.max(late, came.at - begin, went.at - end)
  }
  console.log(`# 10 shares that came and went, share() and close() counted: told after at most ${late.toFixed(1)} ms`)
  assert.ok(late < 2000, `${late} ms`)
  await first.close()
  assert.equal((await next(changes)).text, 'removed shared:first')
  await changes.return?.()
  assert.deepEqual(await changes.next(), { done: true, value: undefined })
})

test('watchDevices: an owner that is killed is removed, and its name can be shared again', async () => {
  const changes = watchDevices({ kind: 'shared' })
  const own = `import { openCapture } from 'beamline'
    const capture = await openCapture('${BALL}')
    await capture.share('dying')
    setInterval(() => capture.stats(), 1000)
    console.log('shared')`
  const added = next(changes)
  let killed = 0
  const ended = await runModule(own, {
    onOutput(child) {
      void added.then(() => {
        killed = performance.now()
        child.kill('SIGKILL')
      })
    },
  })
  assert.equal(ended.signal, 'SIGKILL', ended.stderr)
  assert.equal((await added).text, 'added shared:dying')
  const removed = await next(changes)
  assert.equal(removed.text, 'removed shared:dying')
  console.log(
    `# owner killed: heard ${(removed.at - killed).toFixed(1)} ms after the signal, by a loop that waited for the child's end first`,
  )
  await until(() => readdirSync(join(folder, 'names')).length === 0, 'no dead name')
  await using capture = await openCapture(BALL)
  await using share = await capture.share('dying')
  assert.equal((await next(changes)).text, `added shared:${share.name}`)
  await changes.return?.()
})

test('watchDevices: a format that changes is told', async () => {
  const changes = watchDevices({ kind: 'shared' })
  for (const [number, width] of [64, 32].entries()) {
    const frame = new VideoFrame(new Uint8Array(width * 16 * 4), {
      format: 'RGBA',
      codedWidth: width,
      codedHeight: 16,
      timestamp: 0,
    })
    writeFileSync(join(folder, `shot${number}.png`), await encodeImage(frame))
    frame.close()
  }
  await using capture = await openCapture(`${folder}/shot%d.png?loop=true&frameRate=20`)
  await using share = await capture.share('changing')
  const first = await next(changes)
  assert.equal(first.text, `added shared:${share.name}`)
  const widths = new Set([first.change.device.formats[0]?.maxSize.width])
  while (widths.size < 2) {
    const { text, change } = await next(changes)
    assert.equal(text, `changed shared:${share.name}`)
    widths.add(change.device.formats[0]?.maxSize.width)
  }
  assert.deepEqual([...widths].sort(), [32, 64])
  await changes.return?.()
})

test('watchDevices: forty names, and a loop that takes its time, miss nothing', async () => {
  await using capture = await openCapture(BALL)
  const shares = []
  for (let i = 0; i < 40; i++) shares.push(await capture.share(`n${i}`))
  const there = new Set<string>()
  let most = 0
  for await (const change of watchDevices({ kind: 'shared' })) {
    if (change.type === 'added') there.add(change.device.name)
    else there.delete(change.device.name)
    most = Math.max(most, there.size)
    await new Promise((resolve) => setTimeout(resolve, 2))
    if (most === 40 && shares.length) await Promise.all(shares.splice(0).map((share) => share.close()))
    if (most === 40 && there.size === 0) break
  }
})

test('watchDevices: devices that never change are told once; other kinds are not', async () => {
  const changes = watchDevices({ kind: 'pattern' })
  const patterns = (await listDevices({ kind: 'pattern' })).map((device) => `added ${device.id}`)
  const heard = []
  for (const _ of patterns) heard.push((await next(changes)).text)
  assert.deepEqual(heard, patterns)
  const waiting = changes.next()
  const none = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 50, 'nothing'))])
  assert.equal(none, 'nothing')
  await changes.return?.()
  assert.deepEqual(await waiting, { done: true, value: undefined })
})

test('watchDevices: a signal ends a wait with its reason, break ends the loop; neither leaves a thread or an fd', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('studio')
  const { threads } = memory.stats()
  const fds = openFds()
  for (let i = 0; i < 20; i++) {
    const abort = new AbortController()
    const reason = new Error('enough')
    const changes = watchDevices({ kind: 'shared', signal: abort.signal })
    assert.equal((await next(changes)).text, `added shared:${share.name}`)
    const waiting = changes.next()
    abort.abort(reason)
    await assert.rejects(waiting, (error) => error === reason)
    await assert.rejects(changes.next(), (error) => error === reason)
    for await (const { type } of watchDevices({ kind: 'shared' })) {
      assert.equal(type, 'added')
      break
    }
  }
  await until(() => memory.stats().threads === threads, `${threads} threads`)
  await until(() => openFds() <= fds, `${fds} fds`)
  await assert.rejects(watchDevices({ signal: AbortSignal.abort('before') }).next(), (error) => error === 'before')
  assert.throws(() => watchDevices({ kind: 'television' as 'camera' }), { code: 'InvalidConfig' })
  assert.throws(() => watchDevices({ signal: 1 as never }), { code: 'InvalidConfig' })
})

test('watchDevices: a directory that is removed takes its names along, and is watched again', async () => {
  const names = join(folder, 'names')
  await using capture = await openCapture(BALL)
  await using share = await capture.share('studio')
  const changes = watchDevices({ kind: 'shared' })
  assert.equal((await next(changes)).text, `added shared:${share.name}`)
  rmSync(names, { recursive: true })
  assert.equal((await next(changes)).text, 'removed shared:studio')
  await until(() => readdirSync(folder).includes('names'), 'the directory')
  await using again = await capture.share('again')
  assert.equal((await next(changes)).text, `added shared:${again.name}`)
  await changes.return?.()
})

test('watchDevices: a script that awaits it lives on, and one that has dropped it ends', async () => {
  const waits = `import { watchDevices } from 'beamline'
    console.log('watching')
    for await (const { type, device } of watchDevices({ kind: 'shared' })) {
      console.log(type, device.name)
      if (type === 'removed') break
    }`
  await using capture = await openCapture(BALL)
  let sharing: Promise<void> | undefined
  const lived = await runModule(waits, {
    onOutput(_child, stdout) {
      if (!stdout.includes('watching')) return
      sharing ??= (async () => {
        await new Promise((resolve) => setTimeout(resolve, 300))
        const share = await capture.share('late')
        await new Promise((resolve) => setTimeout(resolve, 300))
        await share.close()
      })()
    },
  })
  await sharing
  assert.deepEqual([lived.code, lived.stdout], [0, 'watching\nadded late\nremoved late\n'], lived.stderr)
  await using there = await capture.share('there')
  const drops = `import { watchDevices } from 'beamline'
    const changes = watchDevices({ kind: 'shared' })
    console.log((await changes.next()).value.type)`
  const dropped = await runModule(drops)
  assert.deepEqual([dropped.code, dropped.stdout], [0, 'added\n'], `${there.name}: ${dropped.stderr}`)
})

test('watchDevices: one that is collected without return() leaves no thread', async () => {
  const { setFlagsFromString } = await import('node:v8')
  const { runInNewContext } = await import('node:vm')
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const { threads } = memory.stats()
  await using capture = await openCapture(BALL)
  await using share = await capture.share('there')
  await (async () => {
    assert.equal((await next(watchDevices({ kind: 'shared' }))).text, `added shared:${share.name}`)
  })()
  await until(() => {
    gc()
    return memory.stats().threads <= threads + 2
  }, 'no thread of the watch')
})
