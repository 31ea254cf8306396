import { open, rm } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { encodeImage } from '../image.js'
import type { VideoFrame } from '../media/video-frame.js'

/** Where a picture of the recording goes. */
export interface PosterPlace {
  path: string
  /** Whether a file that is there may be replaced: it was asked for, or is ours by its name. Else another name is taken. */
  replaces: boolean
}

/** Writes the picture as a PNG; gives where it is. */
export async function writePoster(frame: VideoFrame, place: PosterPlace): Promise<string> {
  const bytes = await encodeImage(frame)
  const { dir, name, ext } = parse(place.path)
  for (let n = 1; ; n++) {
    const path = n === 1 ? place.path : join(dir, `${name}-${n}${ext}`)
    try {
      await writeNew(path, bytes, place.replaces ? 'w' : 'wx')
      return path
    } catch (error) {
      if (place.replaces || (error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** Writes all of it or leaves nothing. */
async function writeNew(path: string, bytes: Uint8Array, flag: 'w' | 'wx'): Promise<void> {
  const file = await open(path, flag)
  try {
    await file.writeFile(bytes)
  } catch (error) {
    // Half a picture; a device or a pipe is not ours to remove.
    if ((await file.stat()).isFile()) await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}
