// Passes over pictures on their way from the owner to readers in other processes, as both sides count them.
import { answer, line, work } from './lib/child.mjs'
import { clip } from './lib/media.mjs'

export const id = 'shared-copies'
export const what = 'copies per frame, owner to any reader'
export const reach = '0'

export async function run() {
  const argv = work('shared-copies', clip)
  const runs = {}
  const figures = []
  for (const mode of ['external', 'wasm', 'copy']) {
    const { ways, mode: got } = await answer(argv, { env: { BEAMLINE_ZERO_COPY: mode } })
    if (got !== mode) throw new Error(`asked for ${mode}, got ${got}`)
    runs[mode] = ways
    for (const [name, { frames, owner, readers }] of Object.entries(ways)) {
      const perFrame = (owner + readers) / frames
      figures.push({
        name: `${name}, ${mode}`,
        value: `${perFrame}`,
        reached: mode === 'copy' ? null : perFrame === 0 && frames > 0,
        note: `${frames} frames read, ${owner} copies by the owner, ${readers} by the readers${mode === 'copy' ? '; for comparison' : ''}`,
      })
    }
  }
  return { commands: { ours: `BEAMLINE_ZERO_COPY=… ${line(argv)}` }, runs, figures }
}
