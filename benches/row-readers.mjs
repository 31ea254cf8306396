// Many processes that read one source (see work/readers.mjs): who loses frames, who copies, what it costs.
import { answer, line, work } from './lib/child.mjs'
import { quiet } from './lib/machine.mjs'

export const id = 'readers'
export const what = '24 reader processes of one 1080p60 source, 60 s, in the three zero-copy modes'
export const reach = 'no frame lost, no copy (`external`, `wasm`; the owner in all)'

const PER_MODE = 8
const QUEUE = 32

export async function run({ quick }) {
  const others = await quiet()
  const seconds = quick ? 5 : 60
  const argv = work('readers', seconds, PER_MODE, QUEUE)
  const result = await answer(argv)
  const { readers, owner, published } = result
  const sum = (list, of) => list.reduce((total, item) => total + of(item), 0)
  // By the numbers in the pictures, but for those that the source itself has skipped; and by the books of both sides.
  const skipped = owner.lost + owner.dropped
  const lost = (list) => sum(list, (r) => Math.max(r.missing - skipped, r.lost + r.dropped + r.owner.dropped))
  const figures = [
    {
      name: 'frames of the source',
      value: `${published} in ${result.seconds.toFixed(1)} s`,
      reached: published >= result.seconds * result.rate * 0.99,
      note: `the source skipped ${skipped}; the owner copied ${owner.copies}, used ${percent(owner.cpuMs, result)} of a core`,
    },
  ]
  for (const mode of ['external', 'wasm', 'copy']) {
    const own = readers.filter((r) => r.mode === mode)
    const copies = sum(own, (r) => r.copies)
    const frames = sum(own, (r) => r.frames)
    const cpu = sum(own, (r) => r.cpuMs) / own.length
    const lateness = [Math.max(...own.map((r) => r.lateP50Us)), Math.max(...own.map((r) => r.lateP99Us))]
    figures.push({
      name: `${own.length} readers, ${mode}: frames lost`,
      value: `${lost(own)} of ${frames + lost(own)}`,
      reached: own.length === PER_MODE && frames > 0 && lost(own) === 0 && copies === (mode === 'copy' ? frames : 0),
      note:
        `${copies} copies; at most ${Math.max(...own.map((r) => r.waitedMost))} frames waited for one; ` +
        `${percent(cpu, result)} of a core each; drawn to seen ${ms(lateness[0])} p50, ${ms(lateness[1])} p99, the worst reader's`,
    })
  }
  return { commands: { ours: line(argv) }, others, runs: result, figures }
}

const percent = (cpuMs, { seconds }) => `${(cpuMs / seconds / 10).toFixed(1)} %`
const ms = (us) => `${(us / 1000).toFixed(1)} ms`
