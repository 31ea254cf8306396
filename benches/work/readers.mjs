// Many processes that read one source: SECONDS READERS_PER_MODE QUEUE. The owner draws 1920×1080 at 60 fps and shares it; readers in the three
// zero-copy modes take every frame. Prints what all of them saw, as JSON.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { memory, openCapture } from '../../dist/index.js'

const [seconds, perMode, queue] = process.argv.slice(2).map(Number)
const MODES = ['external', 'wasm', 'copy']
const RATE = 60
const READER = fileURLToPath(new URL('share-reader.mjs', import.meta.url))
const PATIENCE_MS = 120_000

const folder = mkdtempSync(join(tmpdir(), 'beamline-readers-'))
process.env.BEAMLINE_SHARES = folder

function start(mode) {
  const child = spawn(process.execPath, [READER, 'many', String(queue)], {
    env: { ...process.env, BEAMLINE_ZERO_COPY: mode },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = new Promise((resolve) => child.on('close', resolve))
  return { child, mode, ended, line: async () => (await lines.next()).value }
}

const within = (what, promise) => {
  const late = sleep(PATIENCE_MS, undefined, { ref: false }).then(() =>
    Promise.reject(new Error(`${what} took too long`)),
  )
  return Promise.race([promise, late])
}

/** Looks at the books of the share now and then: the most frames that waited for each reader. */
function watch(share) {
  const most = new Map()
  const timer = setInterval(() => {
    for (const { pid, waiting, behind } of share.clients) most.set(pid, Math.max(most.get(pid) ?? 0, waiting + behind))
  }, 100)
  return { most, end: () => clearInterval(timer) }
}

async function measure(capture, share, readers) {
  const books = () => new Map(share.clients.map((client) => [client.pid, client]))
  const watching = watch(share)
  const before = { books: books(), published: share.stats().published, cpu: process.cpuUsage(), at: performance.now() }
  const own = { ...capture.stats(), copies: memory.stats().copies }
  for (const { child } of readers) child.stdin.write('start\n')
  await sleep(seconds * 1000)
  const after = { books: books(), published: share.stats().published, at: performance.now() }
  const cpu = process.cpuUsage(before.cpu)
  const { lost, dropped } = capture.stats()
  const copies = memory.stats().copies - own.copies
  for (const { child } of readers) child.stdin.write('stop\n')
  const told = await within('the answers', Promise.all(readers.map(({ line }) => line())))
  watching.end()
  return {
    seconds: (after.at - before.at) / 1000,
    rate: RATE,
    published: after.published - before.published,
    owner: { cpuMs: (cpu.user + cpu.system) / 1000, copies, lost: lost - own.lost, dropped: dropped - own.dropped },
    readers: told.map((line) => {
      const reader = JSON.parse(line)
      const [was, is] = [before.books.get(reader.pid), after.books.get(reader.pid)]
      const owner = { granted: is.granted - was.granted, dropped: is.dropped - was.dropped }
      return { ...reader, waitedMost: watching.most.get(reader.pid), owner }
    }),
  }
}

try {
  const capture = await openCapture(`pattern:ball?width=1920&height=1080&frameRate=${RATE}`)
  const share = await capture.share('many')
  const readers = []
  try {
    // A few at a time: each start is a third of a second of CPU.
    for (let i = 0; i < perMode; i++) {
      const some = MODES.map(start)
      readers.push(...some)
      await within('the start of readers', Promise.all(some.map(({ line }) => line())))
    }
    await sleep(500)
    const result = await measure(capture, share, readers)
    await within('the end of readers', Promise.all(readers.map(({ ended }) => ended)))
    await share.close()
    await capture.close()
    console.log(JSON.stringify(result))
  } finally {
    for (const { child } of readers) child.kill('SIGKILL')
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
