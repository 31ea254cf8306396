// I420 and NV12 to RGBA, 720p: crates/convert's own example, pinned. The error against float64 is a test (crates/convert/tests).
import { line, pinned, timed } from './lib/child.mjs'
import { example } from './lib/native.mjs'
import { quiet } from './lib/machine.mjs'

export const id = 'convert'
export const what = 'I420 and NV12 → RGBA, 720p, 601 and 709, full and limited'
export const reach = '≤ 0.35 ms (error ≤ 1: `cargo test -p beamline-convert`)'

export async function run() {
  const argv = pinned('1', [await example('beamline-convert', 'convert_bench'), '20'])
  const others = await quiet()
  const { stdout } = await timed(argv)
  const cases = stdout
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l))
    .filter(({ case: name }) => /^(i420|nv12) (601|709) (full|limited) → rgba$/.test(name))
  if (cases.length !== 8) throw new Error(`expected 8 cases, got ${cases.length}:\n${stdout}`)
  return {
    commands: { ours: line(argv) },
    others,
    runs: cases,
    figures: cases.map(({ case: name, ms_min: ms }) => ({
      name,
      value: `${ms.toFixed(3)} ms`,
      reached: ms <= 0.35,
    })),
  }
}
