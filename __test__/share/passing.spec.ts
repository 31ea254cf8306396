// A share on its way to another process: by environment, by message, by an inherited fd.
import assert from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { chmodSync, readdirSync, readlinkSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { BeamlineError, openCapture, type Share } from 'beamline'
import { root, scratch } from '../helpers/media.js'
import { assertMode, nothingIsHeld, until } from '../helpers/memory.js'

const folder = scratch()
const nowhere = join(folder, 'nowhere')
// The script is for others, too; the directory of shares in it is not.
chmodSync(folder, 0o755)
before(() => {
  process.env['BEAMLINE_SHARES'] = join(folder, 'names')
})
after(() => nothingIsHeld())

test('passing: the run is in the zero-copy mode that it was asked for', assertMode)

const BALL = 'pattern:ball?width=64&height=36&frameRate=50'
const beamline = pathToFileURL(join(root, 'dist', 'index.js')).href

/** Reads three frames of `url` and says so, to whoever has started it. */
const script = join(folder, 'child.mjs')
writeFileSync(
  script,
  `import { parentPort } from 'node:worker_threads'
  import { openCapture } from '${beamline}'
  const url = process.env.STUDIO
  const capture = await openCapture(url)
  let frames = 0
  for await (const frame of capture) {
    frame.planes[0].bytes.at(-1)
    frame.close()
    if (++frames === 3) break
  }
  await capture.close()
  const told = [frames, capture.format.width]
  if (parentPort) parentPort.postMessage(told)
  else if (process.send) process.send(told, () => process.disconnect())
  else console.log(JSON.stringify(told))`,
)

/** Fds that are open, those of memory apart: a source may get more of it with its readers. */
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

/** Another place for names and another folder: what is passed is enough. */
const env = (share: Share) => {
  const { NODE_TEST_CONTEXT: _, ...rest } = process.env
  return { ...rest, STUDIO: share.url, BEAMLINE_SHARES: nowhere }
}

interface Told {
  on(event: 'message', listener: (told: unknown) => void): unknown
  once(event: 'exit', listener: (code: number | null) => void): unknown
}

async function hears(child: Told): Promise<void> {
  const messages: unknown[] = []
  child.on('message', (told) => messages.push(told))
  const code = await new Promise((resolve) => child.once('exit', resolve))
  assert.deepEqual([code, messages], [0, [[3, 64]]])
}

test('passing: a url by environment opens it in fork, spawn, cluster workers and worker threads', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('studio')
  assert.equal(share.url, `shared:${join(folder, 'names')}/studio.share`)
  await hears(fork(script, { env: env(share), cwd: '/' }) as unknown as Told)
  const spawned = spawn(process.execPath, [script], { env: env(share), cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  spawned.stdout?.on('data', (data) => (printed += String(data)))
  const [code] = (await once(spawned, 'close')) as [number]
  assert.deepEqual([code, printed], [0, '[3,64]\n'])
  cluster.setupPrimary({ exec: script, execArgv: [] })
  await hears(cluster.fork(env(share)) as unknown as Told)
  await hears(new Worker(script, { env: env(share) }) as unknown as Told)
  await until(() => share.clients.length === 0, 'the end of all readers')
})

/** Whether any user may run what we run. */
function isOpenToAll(): boolean {
  const open = (path: string): boolean => (statSync(path).mode & 0o5) === 0o5 && (path === '/' || open(dirname(path)))
  return [process.execPath, join(root, 'dist'), folder].every((path) => open(dirname(realpathSync(path))))
}

test('passing: an inherited end opens it where neither name nor directory are seen, for another user too', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('studio')
  const mine = process.getuid?.() === 0 && isOpenToAll()
  console.log(
    mine ? '# the second child is user 65534' : '# both children are this user: no other can be, or can read it',
  )
  for (const uid of mine ? [undefined, 65534] : [undefined, undefined]) {
    const end = await share.invite()
    const child = spawn(process.execPath, [script], {
      env: { ...env(share), STUDIO: 'shared:fd:3', HOME: '/' },
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit', end.fd],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    end.close()
    end.close()
    let printed = ''
    let reader: number | undefined
    child.stdout?.on('data', (data) => (printed += String(data)))
    const watching = setInterval(() => (reader ??= share.clients[0]?.pid), 1)
    const [code] = (await once(child, 'close')) as [number]
    clearInterval(watching)
    assert.deepEqual([code, printed], [0, '[3,64]\n'])
    if (reader !== undefined) assert.equal(reader, child.pid)
  }
  await until(() => share.clients.length === 0, 'the end of both')
})

test('passing: a forked child, whose channel has a place in stdio too, opens the end by its own place', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('studio')
  const end = await share.invite()
  const child = fork(script, {
    env: { ...env(share), STUDIO: 'shared:fd:4' },
    cwd: '/',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', end.fd],
  })
  end.close()
  await hears(child as unknown as Told)
  await until(() => share.clients.length === 0, 'the end of the reader')
})

test('passing: an end is good once, and what is none is told as what it is', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('studio')
  const is = (code: string, reason: string) => (error: unknown) =>
    error instanceof BeamlineError && error.code === code && error.reason === reason
  const before = openFds()
  const end = await share.invite()
  assert.equal(end.url, `shared:fd:${end.fd}`)
  const own = await openCapture(end.url)
  for await (const frame of own) {
    frame.close()
    break
  }
  assert.equal(share.clients[0]?.pid, process.pid)
  await assert.rejects(openCapture(end.url), is('Busy', 'share-fd-used'))
  await own.close()
  end.close()
  await until(() => share.clients.length === 0, 'the end of the reader')
  await until(() => openFds() <= before, 'as many fds as before')
  await assert.rejects(openCapture('shared:fd:9999'), is('NotFound', 'no-share-fd'))
  await assert.rejects(openCapture('shared:fd:0'), is('NotFound', 'no-share-fd'))
  await assert.rejects(openCapture('shared:fd:three'), is('InvalidConfig', 'bad-option'))
  const late = await share.invite()
  await share.close()
  await assert.rejects(openCapture(late.url), is('DeviceLost', 'owner-gone'))
  late[Symbol.dispose]()
  await assert.rejects(share.invite(), is('InvalidState', 'closed'))
})

test('passing: ends that no child has taken are counted, and free again when they are closed', async () => {
  await using capture = await openCapture(BALL)
  await using share = await capture.share('studio')
  const ends = []
  for (let i = 0; i < 64; i++) ends.push(await share.invite())
  await assert.rejects(share.invite(), { code: 'Quota', reason: 'share-fds-out' })
  for (const end of ends) end.close()
  for (let i = 0; i < 500; i++) {
    const end = await share.invite().catch(() => undefined)
    end?.close()
    if (end) return
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  assert.fail('no further end')
})
