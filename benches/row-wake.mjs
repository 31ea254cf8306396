// One frame into an idle loop, against a bare ThreadsafeFunction in the same process (see work/wake.mjs).
import { answer, line, pinned, work } from './lib/child.mjs'
import { quiet } from './lib/machine.mjs'
import { addon } from './lib/native.mjs'
import { median, ratio, judge } from './lib/pairs.mjs'

export const id = 'wake'
export const what = 'one frame into an idle loop: push → first line of the consumer, p50'
export const reach = '≤ 1.5× of a bare ThreadsafeFunction'

export async function run({ quick }) {
  const [meter, stamped] = [await addon('meter'), await addon('stamped')]
  const others = await quiet()
  const figures = []
  const runs = {}
  let command
  for (const [name, cores] of [
    ['both cores', '0,1'],
    ['one core', '1'],
  ]) {
    const argv = pinned(cores, work('wake', meter, quick ? 300 : 1000, quick ? 5 : 15))
    command ??= `BEAMLINE_NATIVE_PATH=${stamped} ${line(argv)}`
    const { frame, bare, again } = await answer(argv, { env: { BEAMLINE_NATIVE_PATH: stamped } })
    runs[name] = { frame, bare, again }
    const found = ratio({ ours: frame, peer: bare, again }, (us) => us)
    const figure = judge(name, found, 1.5)
    figure.note = `${median(frame).toFixed(1)} µs against ${median([...bare, ...again]).toFixed(1)} µs; ${figure.note}`
    figures.push(figure)
  }
  return {
    commands: { ours: command, peer: 'the same process: `ringBare` of benches/native/meter' },
    others,
    runs,
    figures,
  }
}
