// Random flips in a film: a typed error or pictures of the right size, never a crash, a hang or a leaked slot.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { BeamlineError, memory, openInput } from 'beamline'
import { files } from './media.js'
import { nothingIsHeld, until } from './memory.js'

/** What became of the flipped files. */
export interface Outcome {
  runs: number
  typed: number
  whole: number
  pictures: number
}

/** Numbers from 0 to 1 that are the same for the same seed. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Reads `count` copies of the film, numbered from `first`, each with one to eight flipped bits. */
export async function flip(first: number, count: number): Promise<Outcome> {
  const film = readFileSync(files.tiny())
  const outcome: Outcome = { runs: 0, typed: 0, whole: 0, pictures: 0 }
  for (let seed = first; seed < first + count; seed++) {
    const bytes = new Uint8Array(film)
    const next = random(seed)
    for (let i = 1 + Math.floor(next() * 8); i > 0; i--) {
      const at = Math.floor(next() * bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(next() * 8))
    }
    try {
      await using input = await openInput(bytes, { recover: seed % 2 === 1 })
      const video = input.video
      if (video) {
        const size = [video.codedWidth, video.codedHeight]
        for await (const frame of video.frames({ threads: 1 })) {
          const { width, height } = frame.visibleRect ?? { width: 0, height: 0 }
          const right = (width === 160 && height === 90) || (width === size[0] && height === size[1])
          const plane = frame.planes[0]
          const there = (plane?.bytes.length ?? 0) >= (plane?.stride ?? 0) * (height - 1) + width
          frame.close()
          assert.ok(right && there, `seed ${seed}: a picture of ${width}×${height} from a track of ${size.join('×')}`)
          outcome.pictures++
        }
      }
      outcome.whole++
    } catch (error) {
      if (!(error instanceof BeamlineError) || error.code === 'Internal') {
        assert.fail(`seed ${seed}: ${String(error)}`)
      }
      outcome.typed++
    }
    outcome.runs++
  }
  await nothingIsHeld()
  await until(() => memory.stats().threads === 0, 'no thread')
  return outcome
}
