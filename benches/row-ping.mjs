// A frame to another process and back, both blocking and on one core, against the kernel's bare wakes (see native/link/src/ping.rs).
import { answer, line, pinned } from './lib/child.mjs'
import { quiet } from './lib/machine.mjs'
import { program } from './lib/native.mjs'
import { judge, median, ratio } from './lib/pairs.mjs'

export const id = 'ping'
export const what = 'frame to another process and back, blocking, both on one core, one byte touched'
export const reach = '≤ 1.25× of the faster of futex and eventfd ping-pong; the same at 64 B and 12 MB'

const SIZES = [
  ['64 B', 64],
  ['12 MB', 12_441_600],
]
const FLOORS = ['futex', 'eventfd']

export async function run({ quick, pairs }) {
  const path = await program()
  const turns = quick ? 2000 : 10_000
  const argv = (side, bytes) => pinned('1', [path, 'ping', side, `${bytes}`, `${turns}`])
  const others = await quiet()
  const figures = []
  const runs = {}
  for (const [name, bytes] of SIZES) {
    const found = { ours: [], iceoryx2: [], futex: [], eventfd: [], futexAgain: [], eventfdAgain: [] }
    const sides = Object.keys(found)
    for (let round = 0; round < (pairs ?? (quick ? 3 : 15)); round++) {
      for (let k = 0; k < sides.length; k++) {
        const side = sides[(k + round) % sides.length]
        found[side].push((await answer(argv(side.replace('Again', ''), bytes))).ns)
        process.stderr.write('.')
      }
    }
    process.stderr.write('\n')
    runs[name] = found
    // The faster floor is one of the two, for all rounds.
    const of = (floor) => median([...found[floor], ...found[`${floor}Again`]])
    const floor = FLOORS.toSorted((a, b) => of(a) - of(b))[0]
    const against = (ours) =>
      ratio({ ours: found[ours], peer: found[floor], again: found[`${floor}Again`] }, (ns) => ns)
    const us = (ns) => `${(ns / 1000).toFixed(2)} µs`
    const figure = judge(name, against('ours'), 1.25)
    const floors = FLOORS.map((f) => `${f} ${us(of(f))}`).join(', ')
    figure.note = `${us(median(found.ours))} against ${floors}; ${figure.note}`
    figures.push(figure, {
      name: `${name}, iceoryx2`,
      value: `${against('iceoryx2').median.toFixed(3)}×`,
      reached: null,
      note: `${us(median(found.iceoryx2))}: publish-subscribe and an event; for comparison`,
    })
  }
  const command = (side) => line(argv(side, 64))
  return {
    commands: {
      ours: command('ours'),
      futex: command('futex'),
      eventfd: command('eventfd'),
      iceoryx2: command('iceoryx2'),
    },
    others,
    runs,
    figures,
  }
}
