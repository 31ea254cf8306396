// Passes over pictures outside the codec libraries, as the engine counts them. That it counts all is what its tests show.
import { answer, line, work } from './lib/child.mjs'
import { clip, memory } from './lib/media.mjs'

export const id = 'copies'
export const what = 'copies per frame'
export const reach = '0'

export async function run() {
  const argv = work('copies', clip, memory)
  const { ways, mode } = await answer(argv)
  return {
    commands: { ours: line(argv) },
    runs: ways,
    figures: Object.entries(ways).map(([name, { frames, perFrame }]) => ({
      name,
      value: `${perFrame}`,
      reached: perFrame === 0 && frames > 0,
      note: `${frames} frames, ${mode}`,
    })),
  }
}
