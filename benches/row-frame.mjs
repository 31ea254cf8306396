// Frames that wait, to JavaScript: CPU of the JavaScript thread per frame (see work/frame.mjs).
import { answer, line, pinned, work } from './lib/child.mjs'
import { quiet } from './lib/machine.mjs'
import { still } from './lib/media.mjs'
import { addon } from './lib/native.mjs'

export const id = 'frame'
export const what = 'frame to JavaScript: `for await`, one byte of `planes`, close; frames waiting'
export const reach = '64×64 and 3840×2160 the same ± 10 %; ≤ 2.5 µs; 0 copies (external, wasm)'

const SIZES = [
  [64, 64],
  [3840, 2160],
]

export async function run({ quick }) {
  const meter = await addon('meter')
  const others = await quiet()
  const runs = {}
  const figures = []
  let command
  for (const mode of ['external', 'wasm', 'copy']) {
    // The sizes in turn, the least of 40 runs each: a host that is busy for a second would else fall on one of them alone.
    const found = SIZES.map(() => ({ us: [], copies: 0 }))
    for (let round = 0; round < (quick ? 1 : 8); round++) {
      for (const [i, [width, height]] of SIZES.entries()) {
        const frames = mode === 'copy' && width > 1000 ? 32 : 8000
        // Both cores: the producer has one of its own, as it would have in life.
        const argv = pinned('0,1', work('frame', meter, await still(width, height), width, height, frames, 5))
        const result = await answer(argv, { env: { BEAMLINE_ZERO_COPY: mode } })
        if (result.mode !== mode) throw new Error(`asked for ${mode}, got ${result.mode}`)
        command ??= `BEAMLINE_ZERO_COPY=… ${line(argv)}`
        found[i].us.push(...result.us)
        found[i].copies += result.copies
      }
    }
    const least = found.map(({ us }) => Math.min(...us))
    for (const [i, [width, height]] of SIZES.entries()) {
      const { us, copies } = found[i]
      runs[`${mode} ${width}×${height}`] = us
      const bounded = mode !== 'copy'
      figures.push({
        name: `${mode}, ${width}×${height}`,
        value: `${least[i].toFixed(2)} µs`,
        reached: bounded ? least[i] <= 2.5 && copies === 0 : null,
        note: `${copies ? `${copies} copies` : '0 copies'}${bounded ? '' : '; for comparison'}`,
      })
    }
    const ratio = least[1] / least[0]
    if (mode !== 'copy') {
      figures.push({
        name: `${mode}, large against small`,
        value: `${ratio.toFixed(2)}×`,
        reached: ratio >= 0.9 && ratio <= 1.1,
      })
    }
  }
  const argv = pinned('0,1', work('frame', meter, 'pattern:solid', 3840, 2160, 800, 5))
  const { us } = await answer(argv)
  runs['drawn 3840×2160'] = us
  const note = 'for comparison: caches are full of the pixels that the pattern draws meanwhile'
  figures.push({
    name: 'external, 3840×2160 that is drawn anew',
    value: `${Math.min(...us).toFixed(2)} µs`,
    reached: null,
    note,
  })
  return { commands: { ours: command }, others, runs, figures }
}
