// Granting a frame to other processes, without a process switch; beside it the whole way, and the same by iceoryx2 (see native/link).
import { answer, line, pinned } from './lib/child.mjs'
import { quiet } from './lib/machine.mjs'
import { program } from './lib/native.mjs'

export const id = 'grant'
export const what = 'grant + return + drain, one client (with the fence); each further reader'
export const reach = '≤ 50 ns; ≤ 40 ns'

/** One, and each of seven more. */
const both = (by) => ({ one: by[1], further: (by[8] - by[1]) / 7 })

export async function run({ quick }) {
  const argv = pinned('1', [await program(), 'grant'])
  const others = await quiet()
  const runs = []
  // Each call gives the least of 20 runs already: some more, so that a busy second does not fall on one side alone.
  for (let i = 0; i < (quick ? 1 : 3); i++) runs.push(await answer(argv))
  const least = (pick) => Math.min(...runs.map(pick))
  const figure = (name, key, limits, note) =>
    ['one', 'further'].map((which, i) => {
      const value = least((run) => both(run[key])[which])
      const reached = limits ? value <= limits[i] : null
      return {
        name: `${name}, ${which === 'one' ? 'one reader' : 'each further reader'}`,
        value: `${value.toFixed(1)} ns`,
        reached,
        note,
      }
    })
  return {
    commands: { 'ours and iceoryx2': line(argv) },
    others,
    runs,
    figures: [
      ...figure('books', 'books', [50, 40], 'note, tell, read, give back, drain'),
      ...figure(
        'whole way',
        'ours',
        null,
        'a slot taken, published, next(), dropped: 1080p with format, layout and time; for comparison',
      ),
      ...figure('iceoryx2', 'iceoryx2', null, 'loan, send, receive, drop of 64 bytes; for comparison'),
    ],
  }
}
