// Files that end too early, and files with flipped bits.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { BeamlineError, createOutput, openInput } from 'beamline'
import { files, scratch } from '../helpers/media.js'
import { nothingIsHeld } from '../helpers/memory.js'

interface Seen {
  opened: boolean
  frames: number
  error: string | undefined
}

async function read(bytes: Uint8Array, recover = false): Promise<Seen> {
  const seen: Seen = { opened: false, frames: 0, error: undefined }
  try {
    await using input = await openInput(bytes, { recover })
    seen.opened = true
    for await (const frame of input.video?.frames() ?? []) {
      assert.deepEqual([frame.displayWidth, frame.displayHeight], [320, 180])
      seen.frames++
      frame.close()
    }
  } catch (error) {
    assert.ok(error instanceof BeamlineError, String(error))
    seen.error = error.reason
  }
  return seen
}

/** Our own fragmented form of the file. */
async function fragmented(): Promise<Uint8Array> {
  const path = join(scratch(), 'fragmented.mp4')
  await using input = await openInput(files.indexInFront())
  await using output = await createOutput(path)
  output.copy(input.video!)
  output.copy(input.audio!)
  const { fragments } = await output.close()
  assert.ok(fragments >= 2, `${fragments} fragments`)
  return readFileSync(path)
}

describe('a file that is cut at every percent: nothing before its index is whole, then its pictures, then `truncated`', () => {
  const whole: Record<string, () => Promise<Uint8Array>> = {
    'index in front': () => Promise.resolve(readFileSync(files.indexInFront())),
    'our own fragments': fragmented,
  }
  for (const [name, bytes] of Object.entries(whole)) {
    test(name, async () => {
      const all = await bytes()
      const { frames: complete, error } = await read(all)
      assert.equal(error, undefined)
      let last = 0
      let [refused, partial] = [0, 0]
      for (let percent = 0; percent < 100; percent++) {
        const cut = all.subarray(0, Math.floor((all.length * percent) / 100))
        const seen = await read(cut)
        if (!seen.opened) {
          assert.equal(last, 0, `${percent} %: refused after a shorter one was read`)
          assert.equal(seen.error, percent === 0 ? 'not-media' : 'truncated', `${percent} %`)
          refused++
          continue
        }
        assert.equal(seen.error, 'truncated', `${percent} %: ${seen.frames} of ${complete} frames`)
        assert.ok(seen.frames >= last && seen.frames <= complete, `${percent} %: ${seen.frames} frames after ${last}`)
        last = seen.frames
        partial++
        const quiet = await read(cut, true)
        assert.deepEqual([quiet.error, quiet.frames], [undefined, seen.frames], `${percent} %, recover`)
      }
      console.log(`# ${name}: ${refused} refused, ${partial} partial, ${last} of ${complete} frames at 99 %`)
      assert.ok(refused >= 1 && partial >= 50)
      assert.ok(last > complete / 2)
    })
  }
})

test('damage: after everything here no slot is live and no frame is open', nothingIsHeld)
