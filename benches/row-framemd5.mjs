// Every decoded picture of the clip, bit by bit, against `ffmpeg -f framemd5`.
import { answer, line, timed, work } from './lib/child.mjs'
import { clip } from './lib/media.mjs'

export const id = 'framemd5'
export const what = 'decoded pictures of the clip'
export const reach = 'bit-exact with `ffmpeg -f framemd5`'

export async function run() {
  const ours = work('framemd5', clip)
  const peer = ['ffmpeg', '-v', 'error', '-nostdin', '-i', clip, '-map', '0:v:0', '-f', 'framemd5', '-']
  const [{ sums }, { stdout }] = [await answer(ours), await timed(peer)]
  const theirs = stdout
    .split('\n')
    .filter((l) => l && !l.startsWith('#'))
    .map((l) => l.split(',').at(-1).trim())
  const equal = sums.filter((sum, i) => sum === theirs[i]).length
  return {
    commands: { ours: line(ours), peer: line(peer) },
    runs: { ours: sums, peer: theirs },
    figures: [
      {
        name: 'equal pictures',
        value: `${equal} of ${theirs.length}`,
        reached: equal === theirs.length && sums.length === theirs.length && equal > 0,
      },
    ],
  }
}
