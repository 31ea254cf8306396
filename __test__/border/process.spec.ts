import assert from 'node:assert/strict'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { runModule } from '../helpers/child.js'
import { scratch } from '../helpers/media.js'
import { expectedMode } from '../helpers/memory.js'

const PATTERN = `'pattern:ball?width=128&height=64&live=false'`
const folder = scratch()

const clean = (ended: { code: number | null; signal: string | null; stderr: string }, code = 0) =>
  assert.deepEqual([ended.code, ended.signal], [code, null], ended.stderr)

test('import starts no thread, opens no file of ours and does not load the addon', async () => {
  const ended = await runModule(
    `import { readdirSync, readFileSync } from 'node:fs'
     import { readFile } from 'node:fs/promises'
     // Node reads modules by a pool of threads of its own, which begins with the first file.
     await Promise.all(Array.from({ length: 8 }, () => readFile('package.json')))
     const tasks = () => readdirSync('/proc/self/task').length
     const before = tasks()
     const { memory } = await import('beamline')
     const maps = () => readFileSync('/proc/self/maps', 'utf8').includes('beamline.linux-x64-gnu.node')
     const [after, mapped] = [tasks(), maps()]
     memory.stats()
     console.log(JSON.stringify({ more: after - before, mapped, later: maps(), used: tasks() - before }))`,
  )
  clean(ended)
  assert.deepEqual(JSON.parse(ended.stdout), { more: 0, mapped: false, later: true, used: 0 })
})

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const canRequire = major > 20 || (major === 20 && minor >= 19)

test(
  'require() gives the same as import',
  { skip: !canRequire && `require() of ES modules comes with Node 20.19; this is ${process.version}` },
  async () => {
    const ended = await runModule(
      `import { createRequire } from 'node:module'
     import * as imported from 'beamline'
     const required = createRequire(process.cwd() + '/x.js')('beamline')
     console.log(required.VideoFrame === imported.VideoFrame, typeof required.openCapture)`,
    )
    clean(ended)
    assert.equal(ended.stdout.trim(), 'true function')
  },
)

test('a script whose loop has ended exits by itself, at once', async () => {
  const ended = await runModule(
    `import { openCapture } from 'beamline'
     let n = 0
     for await (const frame of await openCapture(${PATTERN} + '&frames=5')) { n += frame.planes.length; frame.close() }
     console.log(n)
     process.on('exit', () => console.log('exit'))`,
  )
  clean(ended)
  assert.equal(ended.stdout, '15\nexit\n')
})

test('an idle capture does not keep the process alive; a loop that waits does', async () => {
  const idle = await runModule(`import { openCapture } from 'beamline'
    await openCapture('pattern:ball?width=64&height=64')
    console.log('idle')`)
  clean(idle)
  const waiting = await runModule(`import { openCapture } from 'beamline'
    const capture = await openCapture('pattern:ball?width=64&height=64&frameRate=4')
    let n = 0
    for await (const frame of capture) { frame.close(); if (++n === 3) break }
    console.log('three')`)
  clean(waiting)
  assert.equal(waiting.stdout.trim(), 'three')
})

describe('leaving in the middle of a stream', () => {
  const TIMES = 20
  test(`process.exit(), ${TIMES} times: its code, no signal`, async () => {
    for (let i = 0; i < TIMES; i += 2) {
      const run = (n: number) =>
        runModule(
          `import { openCapture } from 'beamline'
           let n = 0
           const stop = ${n}
           for await (const frame of await openCapture(${PATTERN})) { frame.planes; if (n % 2) frame.close(); if (++n > stop) process.exit(7); if (n > 8) frame.close() }`,
        )
      for (const ended of await Promise.all([run(i % 10), run((i + 1) % 10)])) clean(ended, 7)
    }
    console.log(`# process.exit(): ${TIMES} clean exits, ${expectedMode}`)
  })
  const many = (worker: string, ending: string) => `
    import { Worker } from 'node:worker_threads'
    import { once } from 'node:events'
    const url = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)}.replace('BEAMLINE', import.meta.resolve('beamline'))))
    let ends = 0
    for (let i = 0; i < ${TIMES}; i++) {
      const worker = new Worker(url)
      const exit = once(worker, 'exit')
      await once(worker, 'message')
      ${ending}
      await exit
      ends++
    }
    const { memory } = await import('beamline')
    for (let i = 0; i < 500 && memory.stats().live + memory.stats().threads > 0; i++) await new Promise((r) => setTimeout(r, 10))
    const { live, threads } = memory.stats()
    console.log(JSON.stringify({ ends, live, threads }))`
  const stream = `import { parentPort } from 'node:worker_threads'
    import { openCapture } from 'BEAMLINE'
    let n = 0
    for await (const frame of await openCapture(${PATTERN})) { frame.planes; frame.close(); if (++n === 20) parentPort.postMessage(n) }`
  test(`worker.terminate(), ${TIMES} times: nothing is left in the process`, async () => {
    const ended = await runModule(many(stream, 'await worker.terminate()'))
    clean(ended)
    assert.deepEqual(JSON.parse(ended.stdout), { ends: TIMES, live: 0, threads: 0 })
  })
  test(`process.exit() in a worker, ${TIMES} times: nothing is left in the process`, async () => {
    const leaving = stream.replace(
      'parentPort.postMessage(n)',
      '{ parentPort.postMessage(n); setImmediate(() => process.exit()) }',
    )
    const ended = await runModule(many(leaving, ''))
    clean(ended)
    assert.deepEqual(JSON.parse(ended.stdout), { ends: TIMES, live: 0, threads: 0 })
  })
})

const forget = `import { memory, VideoFrame } from 'beamline'
  function make() { for (let i = 0; i < 50; i++) new VideoFrame(new Uint8Array(4096), { format: 'gray8', codedWidth: 64, codedHeight: 64, timestamp: 0 }).planes }
  make()
  const before = memory.stats().openFrames
  for (let i = 0; i < 200 && memory.stats().live > 0; i++) { gc(); await new Promise((r) => setTimeout(r, 10)) }
  const { openFrames, live } = memory.stats()
  console.log(JSON.stringify({ before, openFrames, live }))`

test('frames that nobody closed are collected: their slots come back, and nothing is said', async () => {
  const ended = await runModule(forget, { flags: ['--expose-gc'], env: { BEAMLINE_DEV: undefined } })
  clean(ended)
  assert.deepEqual(JSON.parse(ended.stdout), { before: 50, openFrames: 0, live: 0 })
  assert.equal(ended.stderr, '')
})

const keepBytes = `import { memory, VideoFrame } from 'beamline'
  const init = { format: 'gray8', codedWidth: 64, codedHeight: 64, timestamp: 0 }
  const make = (value) => new VideoFrame(new Uint8Array(4096).fill(value), init)
  let kept = (() => make(7).planes[0].bytes)()
  const rounds = async () => { for (let i = 0; i < 20; i++) { gc(); await new Promise((r) => setTimeout(r, 5)) } }
  await rounds()
  for (let i = 0; i < 100; i++) make(i % 5).close()
  const open = memory.stats().openFrames
  const same = kept.every((byte) => byte === 7)
  kept = undefined
  for (let i = 0; i < 200 && memory.stats().live > 0; i++) await rounds()
  console.log(JSON.stringify({ open, same, live: memory.stats().live }))`

test('a view of a frame that nobody closed keeps its memory: no later frame shows through, and it goes with the view', async () => {
  const ended = await runModule(keepBytes, { flags: ['--expose-gc'], env: { BEAMLINE_DEV: undefined } })
  clean(ended)
  const { same, live } = JSON.parse(ended.stdout)
  assert.deepEqual({ same, live }, { same: true, live: 0 })
})

test('BEAMLINE_DEV=1: a warning says how many were forgotten and where they were made', async () => {
  const file = join(folder, 'forgetful.mjs')
  writeFileSync(file, `${forget.replace("'beamline'", JSON.stringify(import.meta.resolve('beamline')))}\n`)
  const ended = await runModule(`await import(${JSON.stringify(file)})`, {
    flags: ['--expose-gc'],
    env: { BEAMLINE_DEV: '1' },
  })
  clean(ended)
  assert.match(ended.stderr, /BeamlineLeak.*VideoFrame\(s\) were collected without close\(\)/)
  assert.match(ended.stderr, /forgetful\.mjs:2/)
})

test('BEAMLINE_ZERO_COPY: an unknown mode throws and says which there are', async () => {
  const ended = await runModule(
    `import { runtime } from 'beamline'
    try { runtime.zeroCopyMode } catch (e) { console.log(JSON.stringify([e.name, e.code, e.reason, e.message])) }`,
    {
      env: { BEAMLINE_ZERO_COPY: 'bogus' },
    },
  )
  clean(ended)
  const [name, code, reason, message] = JSON.parse(ended.stdout) as string[]
  assert.deepEqual([name, code, reason], ['BeamlineError', 'InvalidConfig', 'zero-copy-mode'])
  assert.match(message ?? '', /external, wasm, copy.*'bogus'/)
})

test('an addon that does not load: the error says what was tried and what to do', async () => {
  const bogus = join(folder, 'bogus.node')
  writeFileSync(bogus, 'no library')
  for (const [path, words] of [
    [bogus, /bogus\.node/],
    [join(folder, 'nothing.node'), /nothing\.node/],
  ] as const) {
    const ended = await runModule(
      `import { openCapture } from 'beamline'
      await openCapture(${PATTERN}).catch((e) => console.log(JSON.stringify([e.name, e.code, e.reason, e.message, e.hint])))`,
      {
        env: { BEAMLINE_NATIVE_PATH: path },
      },
    )
    clean(ended)
    const [name, code, reason, message, hint] = JSON.parse(ended.stdout) as string[]
    assert.deepEqual([name, code, reason], ['BeamlineError', 'NotSupported', 'native-load'])
    assert.match(message ?? '', words)
    assert.match(hint ?? '', /npm (start|run build)/)
  }
})
