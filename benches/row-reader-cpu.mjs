// What a frame costs the process that reads it: CPU of the whole process, all its threads, while frames wait.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { answer, line, pinned, work } from './lib/child.mjs'
import { quiet } from './lib/machine.mjs'
import { memory } from './lib/media.mjs'
import { program } from './lib/native.mjs'

export const id = 'reader-cpu'
export const what = '1080p frame to another process, CPU of the reader per frame when frames wait'
export const reach = 'Node, `for await`: ≤ 5 µs; a native reader: ≤ 3 µs'

/** Frames that are out; the owner fills them up when half of them have come back, so that some always wait. */
const KEPT = 22

/** An owner of its own core, for as long as `run` takes. */
async function beside(path, place, run) {
  const [command, ...args] = pinned('0', [path, 'own', place, `${KEPT}`])
  const owner = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    await once(owner.stdout, 'data')
    return await run()
  } finally {
    owner.stdin.end()
    await once(owner, 'exit')
  }
}

export async function run({ quick }) {
  const path = await program()
  const place = join(memory, `reader-${process.pid}`)
  const [seconds, times] = quick ? [0.3, 3] : [0.3, 20]
  const native = (fps, s = seconds) => pinned('0,1', [path, 'read', `${fps}`, `${s}`])
  const node = pinned('1', work('shared-reader', place, KEPT, seconds))
  const others = await quiet()
  const runs = { native: [], external: [], wasm: [] }
  for (let i = 0; i < times; i++) {
    runs.native.push((await answer(native(0))).us)
    for (const mode of ['external', 'wasm']) {
      const env = { BEAMLINE_ZERO_COPY: mode }
      const result = await beside(path, place, () => answer(node, { env }))
      if (result.mode !== mode) throw new Error(`asked for ${mode}, got ${result.mode}`)
      if (result.copies > 0) throw new Error(`${result.copies} copies`)
      runs[mode].push(result.us)
    }
    process.stderr.write('.')
  }
  process.stderr.write('\n')
  const slow = await answer(native(60, quick ? 4 : 20))
  const figure = (name, us, limit, note) => ({
    name,
    value: `${Math.min(...us).toFixed(2)} µs`,
    reached: limit ? Math.min(...us) <= limit : null,
    note,
  })
  return {
    commands: {
      'native reader, its owner in it': line(native(0)),
      'owner for Node': line(pinned('0', [path, 'own', place, `${KEPT}`])),
      'Node reader': `BEAMLINE_ZERO_COPY=… ${line(node)}`,
    },
    others,
    runs: { ...runs, slow },
    figures: [
      figure(
        'Node, external',
        runs.external,
        5,
        `whole process: capture thread, JavaScript, finalizers; ${KEPT} frames are out, and some always wait`,
      ),
      figure('Node, wasm', runs.wasm, 5, 'the same'),
      figure('native', runs.native, 3, 'whole process'),
      figure('native, 60 frames a second', [slow.us], null, 'each frame wakes it: for comparison'),
    ],
  }
}
