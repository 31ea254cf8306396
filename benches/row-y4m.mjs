// Our moving pattern, 1080p, as Y4M in tmpfs, to H.264 in MP4: against the ffmpeg command.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { answer, line, timed, work } from './lib/child.mjs'
import { memory, MOVFLAGS, PRESET, THREADS, y4m } from './lib/media.mjs'
import { judge, median, ratio, rounds } from './lib/pairs.mjs'

export const id = 'y4m'
export const what = 'Y4M of our pattern, 1080p, in tmpfs → H.264 → MP4, against the `ffmpeg` command'
export const reach = 'CPU ≤ 1.05×'

export async function run({ quick, pairs }) {
  const input = await y4m(300)
  const [a, b] = [join(memory, 'ours-y4m.mp4'), join(memory, 'peer-y4m.mp4')]
  const ours = work('encode-y4m', input, a, PRESET, THREADS, 30)
  const peer = ['ffmpeg', '-v', 'error', '-nostdin', '-y', '-i', input]
  peer.push('-c:v', 'libx264', '-preset', PRESET, '-crf', '23', '-g', '30', '-threads', `${THREADS}`)
  peer.push('-movflags', MOVFLAGS, b)
  const found = await rounds(
    pairs ?? (quick ? 3 : 11),
    () => answer(ours),
    () => timed(peer),
  )
  const cpu = ratio(found, ({ cpuMs }) => cpuMs)
  const wall = ratio(found, ({ wallMs }) => wallMs)
  const middle = (side, key) => (median(found[side].map((r) => r[key])) / 1000).toFixed(2)
  const figure = judge('CPU', cpu, 1.05)
  figure.note = `${middle('ours', 'cpuMs')} s against ${middle('peer', 'cpuMs')} s; ${figure.note}`
  const { frames, copies } = found.ours[0]
  for (const path of [a, b]) rmSync(path, { force: true })
  return {
    commands: { ours: line(ours), peer: line(peer) },
    runs: found,
    figures: [figure, { name: 'wall', value: `${wall.median.toFixed(3)}×`, reached: null, note: 'for comparison' }],
    notes: [`${frames} frames, ${copies} copies`],
  }
}
