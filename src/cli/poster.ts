import { open, rm } from 'node:fs/promises'
import { extname, join, parse } from 'node:path'
import { encodeImage } from '../image.js'
import type { VideoFrame } from '../media/video-frame.js'

/** Where a picture of the recording goes. */
export interface PosterPlace {
  path: string
  /** Whether it was asked for: that it cannot be written is then a failure. */
  asked: boolean
  /** Whether a file that is there may be replaced: it was asked for, or is ours by its name. Else another name is taken. */
  replaces: boolean
}

/** What a picture is written as, by the ending of its file; `undefined` for others. */
export function stillType(path: string): 'image/png' | 'image/jpeg' | undefined {
  const ending = extname(path).toLowerCase()
  if (ending === '.png') return 'image/png'
  return ending === '.jpg' || ending === '.jpeg' ? 'image/jpeg' : undefined
}

/** Writes the picture as its name says; gives where it is. */
export async function writePoster(frame: VideoFrame, place: PosterPlace): Promise<string> {
  const bytes = await encodeImage(frame, { type: stillType(place.path) ?? 'image/png' })
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
