// Files that rows measure with: made once, in tmpfs, so that no disk is in any figure.
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fromRoot } from '../../scripts/lib/paths.mjs'
import { timed, work } from './child.mjs'

export const clip = fromRoot('examples', 'media', 'big-buck-bunny-720p.mp4')
export const memory = join('/dev/shm', 'beamline-bench')
mkdirSync(memory, { recursive: true })

/** What every encode of the benches says, on both sides. */
export const THREADS = 2
export const PRESET = 'veryfast'
/** As our fragmented output: `default_base_moof` and the others. */
export const MOVFLAGS = 'frag_keyframe+delay_moov+default_base_moof'

/** The clip, twelve times in a row: about 63 s. */
export async function long() {
  const path = join(memory, 'long.mp4')
  if (!existsSync(path)) {
    const part = join(memory, 'long.part.mp4')
    await timed(['ffmpeg', '-v', 'error', '-y', '-stream_loop', '11', '-i', clip, '-c', 'copy', part])
    renameSync(part, path)
  }
  return path
}

/** `frames` pictures of our moving pattern, 1080p, as Y4M. */
export async function y4m(frames) {
  const path = join(memory, `pattern-${frames}.y4m`)
  if (!existsSync(path)) {
    await timed(work('write-y4m', `${path}.part`, frames))
    renameSync(`${path}.part`, path)
  }
  return path
}

/** A sequence of one still of that size, as JPEG (three planes of 4:2:0 when decoded). */
export async function still(width, height) {
  const path = join(memory, `still-${width}x${height}-%05d.jpg`)
  if (!existsSync(path.replace('%05d', '00001'))) {
    const picture = `testsrc2=size=${width}x${height}`
    await timed([
      'ffmpeg',
      '-v',
      'error',
      '-y',
      '-f',
      'lavfi',
      '-i',
      picture,
      '-frames:v',
      '1',
      '-pix_fmt',
      'yuvj420p',
      path,
    ])
  }
  return path
}
