// What a killed reader held comes back by itself: how soon (see native/link/src/killed.rs).
import { answer, line, pinned } from './lib/child.mjs'
import { quiet } from './lib/machine.mjs'
import { program } from './lib/native.mjs'
import { median, quantile } from './lib/pairs.mjs'

export const id = 'killed'
export const what = 'slots of a killed Rust reader come back, from the end of its socket or its pidfd'
export const reach = 'by themselves, p99 ≤ 1 ms'

export async function run({ quick }) {
  const path = await program()
  const argv = (side, count) => pinned('0,1', [path, 'killed', side, `${count}`])
  const [ours, peer] = [argv('ours', quick ? 50 : 1000), argv('iceoryx2', quick ? 10 : 100)]
  const others = await quiet()
  const [found, theirs] = [await answer(ours), await answer(peer)]
  const show = (us) =>
    `p50 ${median(us).toFixed(0)} µs, p99 ${quantile(us, 0.99).toFixed(0)} µs, at most ${Math.max(...us).toFixed(0)} µs`
  const p99 = quantile(found.fromEnd, 0.99)
  return {
    commands: { ours: line(ours), iceoryx2: line(peer) },
    others,
    runs: { ours: found, iceoryx2: theirs },
    figures: [
      {
        name: 'p99',
        value: `${(p99 / 1000).toFixed(3)} ms`,
        reached: p99 <= 1000,
        note: `${found.fromEnd.length} kills, 4 slots each: ${show(found.fromEnd)}; from the kill itself: ${show(found.fromKill)}`,
      },
      {
        name: 'iceoryx2, p99',
        value: `${(quantile(theirs.fromEnd, 0.99) / 1000).toFixed(3)} ms`,
        reached: null,
        note: `not by themselves: until two calls that the owner makes at once have ended: ${show(theirs.fromEnd)}; for comparison`,
      },
    ],
  }
}
