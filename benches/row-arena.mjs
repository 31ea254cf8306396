// Taking and releasing a slot: crates/arena's own example, pinned.
import { line, pinned, timed } from './lib/child.mjs'
import { example } from './lib/native.mjs'
import { quiet } from './lib/machine.mjs'

export const id = 'arena'
export const what = 'arena acquire + release'
export const reach = '≤ 40 ns'

export async function run() {
  const argv = pinned('1', [await example('beamline-arena', 'acquire_bench')])
  const others = await quiet()
  const { stdout } = await timed(argv)
  const { least, runs } = JSON.parse(stdout)
  return {
    commands: { ours: line(argv) },
    others,
    runs,
    figures: [{ name: 'least of 20 runs', value: `${least.toFixed(1)} ns`, reached: least <= 40 }],
  }
}
