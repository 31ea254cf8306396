// What readers in other processes hear, and how soon, when the owner of what they read is killed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ended, runModule } from '../helpers/child.js'
import { assertMode } from '../helpers/memory.js'
import { clean, ownNames } from '../helpers/share.js'

ownNames()

test('killed owner: the run is in the zero-copy mode that it was asked for', assertMode)

/** CLOCK_MONOTONIC in ms: the same in all processes, as `performance.now()` is not. */
const NOW = 'Number(process.hrtime.bigint()) / 1e6'
const now = () => Number(process.hrtime.bigint()) / 1e6

const READERS = 3
const LIMIT = 100
/** A timer that is as late as this shows that the machine was busy with others. */
const LATE = 30
const TICK = 5

const owners = {
  'a source': (name: string) => `
    import { openCapture } from 'beamline'
    const capture = await openCapture('pattern:ball?width=320&height=180&frameRate=50')
    await capture.share('${name}')
    console.log('shared')
    setInterval(() => capture.stats(), 1000)`,
  'an output': (name: string) => `
    import { createOutput } from 'beamline'
    const output = await createOutput('shared:${name}')
    const video = output.addVideo({ width: 64, height: 32 })
    console.log('shared')
    for (let timestamp = 0; ; timestamp += 10_000) {
      const frame = await video.frame({ timestamp })
      await video.write(frame)
      frame.close()
      await new Promise((r) => setTimeout(r, 10))
    }`,
}

/** Says that it reads, then when it heard of which error, and between which times its own timer did not tick. */
const reads = (name: string) => `
  import { openCapture } from 'beamline'
  const now = () => ${NOW}
  const capture = await openCapture('shared:${name}')
  const gaps = []
  let last = now()
  const tick = () => {
    const at = now()
    gaps.push([last, at])
    last = at
  }
  const timer = setInterval(tick, ${TICK})
  let begun = false
  try {
    for await (const frame of capture) {
      frame.close()
      if (!begun) console.log('reading')
      begun = true
    }
    console.log(JSON.stringify({ at: now() }))
  } catch ({ code, reason }) {
    const at = now()
    tick()
    console.log(JSON.stringify({ at, code, reason, gaps }))
  }
  clearInterval(timer)
  await capture.close()`

interface Heard {
  at: number
  code?: string
  reason?: string
  gaps: Array<[number, number]>
}

/** Kills an owner that all readers read; after how many ms each of them knew, and how late their timers were meanwhile. */
async function killOne(name: string, owner: string): Promise<{ ms: number[]; late: number }> {
  let killed = 0
  let reading = 0
  let readers: Array<Promise<Ended>> | undefined
  const ended = await runModule(owner, {
    onOutput(child) {
      readers ??= Array.from({ length: READERS }, () => {
        let begun = false
        return runModule(reads(name), {
          onOutput() {
            if (begun) return
            begun = true
            if (++reading < READERS) return
            killed = now()
            child.kill('SIGKILL')
          },
        })
      })
    },
  })
  const all = await Promise.all(readers ?? [])
  assert.equal(ended.signal, 'SIGKILL', ended.stderr)
  assert.ok(killed > 0, 'killed by us, when all of them read')
  const heard = all.map((reader) => {
    clean(reader)
    return JSON.parse(reader.stdout.split('\n')[1] ?? '') as Heard
  })
  for (const { code, reason } of heard) assert.deepEqual([code, reason], ['DeviceLost', 'owner-gone'])
  const late = heard.flatMap(({ at, gaps }) =>
    gaps.map(([from, to]) => Math.min(to, at) - Math.max(from, killed) - TICK),
  )
  return { ms: heard.map(({ at }) => at - killed), late: Math.max(0, ...late) }
}

for (const [kind, owner] of Object.entries(owners)) {
  test(`killed owner of ${kind}: each of three readers gets DeviceLost, owner-gone, within 100 ms`, async () => {
    // Each time under the same name: a dead owner leaves it free.
    for (let attempt = 1; ; attempt++) {
      const { ms, late } = await killOne('dying', owner('dying'))
      const times = ms.map((t) => t.toFixed(1)).join(', ')
      console.log(`# readers of ${kind} knew after ${times} ms; their timers were up to ${late.toFixed(0)} ms late`)
      if (ms.every((t) => t < LIMIT)) return
      // What a reader cannot do in time since it gets no processor is not ours, unless it is so each time.
      assert.ok(late > LATE && attempt < 5, `attempt ${attempt}: ${times} ms, timers ${late.toFixed(0)} ms late`)
    }
  })
}
