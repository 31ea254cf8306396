// The event loop's delay while recording, against an idle Node process while the ffmpeg command does the same beside it.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { answer, line, timed, work } from './lib/child.mjs'
import { memory, MOVFLAGS, THREADS, y4m } from './lib/media.mjs'
import { median, quantile, rounds } from './lib/pairs.mjs'

export const id = 'event-loop'
export const what = 'event-loop delay while recording 1080p60, preset ultrafast'
export const reach = 'p99 ≤ 2 ms above an idle Node process beside `ffmpeg` doing the same'

export async function run({ quick, pairs }) {
  const seconds = quick ? 3 : 6
  const [a, b] = [join(memory, 'ours-60.mp4'), join(memory, 'peer-60.mp4')]
  const ours = work('delay', seconds, a, 'ultrafast', THREADS)
  const idle = work('delay', seconds)
  // At its own speed (`-re`), 60 pictures a second of the same pattern, a little longer than the measurement.
  const peer = [
    'ffmpeg',
    '-v',
    'error',
    '-nostdin',
    '-y',
    '-re',
    '-stream_loop',
    '-1',
    '-r',
    '60',
    '-i',
    await y4m(300),
  ]
  peer.push('-t', `${seconds + 2}`, '-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '23', '-g', '60')
  peer.push('-threads', `${THREADS}`, '-movflags', MOVFLAGS, b)
  const found = await rounds(
    pairs ?? (quick ? 3 : 11),
    () => answer(ours),
    async () => (await Promise.all([answer(idle), timed(peer)]))[0],
  )
  const above = found.ours.map(({ p99 }, i) => p99 - (found.peer[i].p99 + found.again[i].p99) / 2)
  const itself = found.peer.map(({ p99 }, i) => Math.abs(found.again[i].p99 - p99))
  const [value, spread] = [median(above), quantile(itself, 0.75)]
  const p99 = (side) => median(found[side].map((r) => r.p99)).toFixed(2)
  for (const path of [a, b]) rmSync(path, { force: true })
  return {
    commands: { ours: line(ours), peer: `${line(idle)} & ${line(peer)}` },
    runs: found,
    figures: [
      {
        name: 'p99 above idle',
        value: `${value.toFixed(2)} ms`,
        reached: value <= Math.max(2, spread),
        note: `${p99('ours')} ms against ${p99('peer')} ms; idle against itself ${spread.toFixed(2)} ms (upper quartile)`,
      },
    ],
    notes: [`frames that were left out while recording: ${found.ours.map((r) => r.dropped + r.lost).join(', ')}`],
  }
}
