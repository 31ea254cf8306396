// A minute of the clip: decode, encode, MP4, sound as it is. Ours over the public API, against the ffmpeg command.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { answer, line, timed, work } from './lib/child.mjs'
import { long, memory, MOVFLAGS, PRESET, THREADS } from './lib/media.mjs'
import { judge, median, ratio, rounds } from './lib/pairs.mjs'

export const id = 'transcode'
export const what = '60 s of the clip: decode → encode → MP4, against the `ffmpeg` command'
export const reach = 'CPU ≤ 1.05×, wall ≤ 1.05×'

export async function run({ quick, pairs }) {
  const input = await long()
  const [a, b] = [join(memory, 'ours.mp4'), join(memory, 'peer.mp4')]
  const ours = work('transcode', input, a, PRESET, THREADS, 25)
  const peer = ['ffmpeg', '-v', 'error', '-nostdin', '-y', '-threads', `${THREADS}`, '-i', input]
  peer.push('-c:v', 'libx264', '-preset', PRESET, '-crf', '23', '-g', '25', '-threads', `${THREADS}`)
  peer.push('-c:a', 'copy', '-movflags', MOVFLAGS, b)
  const found = await rounds(
    pairs ?? (quick ? 2 : 11),
    () => answer(ours),
    () => timed(peer),
  )
  const cpu = ratio(found, ({ cpuMs }) => cpuMs)
  const wall = ratio(found, ({ wallMs }) => wallMs)
  const middle = (side, key) => (median(found[side].map((r) => r[key])) / 1000).toFixed(2)
  const figures = [judge('CPU', cpu, 1.05), judge('wall', wall, 1.05)]
  figures[0].note = `${middle('ours', 'cpuMs')} s against ${middle('peer', 'cpuMs')} s; ${figures[0].note}`
  figures[1].note = `${middle('ours', 'wallMs')} s against ${middle('peer', 'wallMs')} s; ${figures[1].note}`
  const { frames, copies } = found.ours[0]
  for (const path of [a, b]) rmSync(path, { force: true })
  return {
    commands: { ours: line(ours), peer: line(peer) },
    runs: found,
    figures,
    notes: [`${frames} frames, ${copies} copies`],
  }
}
