// PNG and JPEG sequences: packets that are decoded here, and kept within a byte budget when they repeat.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Capture, memory, openCapture } from 'beamline'
import { ffmpegOutput, files, fixtureFolder, frameHashes } from '../helpers/media.js'
import { nothingIsHeld, until } from '../helpers/memory.js'

/** Bytes of decoded pictures that a looped sequence may keep. */
const BUDGET = 256 << 20

/** MD5 of the packed pictures that a loop gives, and their timestamps. */
async function pictures(capture: Capture, count: number): Promise<{ hashes: string[]; timestamps: number[] }> {
  const [hashes, timestamps]: [string[], number[]] = [[], []]
  for await (const frame of capture) {
    const bytes = new Uint8Array(frame.allocationSize())
    await frame.copyTo(bytes)
    hashes.push(createHash('md5').update(bytes).digest('hex'))
    timestamps.push(frame.timestamp)
    frame.close()
    if (hashes.length === count) break
  }
  return { hashes, timestamps }
}

describe('a looped sequence', () => {
  const sequences: ReadonlyArray<readonly [string, () => string, string]> = [
    ['png', () => join(files.pngs(), '%03d.png'), 'rgb24'],
    ['mjpeg', () => join(files.jpegs(), '%03d.jpg'), 'yuvj420p'],
  ]
  for (const [encoded, path, format] of sequences) {
    test(`${encoded}: each picture is decoded once, then comes from the cache, the same as before`, async () => {
      const expected = frameHashes(path(), format).map((f) => f.hash)
      assert.equal(expected.length, 5)
      const capture = await openCapture({ device: path(), frameRate: 50, loop: true, live: false })
      assert.deepEqual([capture.format.encoded, capture.format.frameRate], [encoded, 50])
      const once = await pictures(capture, 3)
      const first = capture.stats()
      const more = await pictures(capture, 17)
      const second = capture.stats()
      assert.deepEqual(once.hashes, expected.slice(0, 3))
      // A new loop goes on where the source is; from there on nothing is missing.
      const from = Math.round((more.timestamps[0] ?? NaN) / 20_000)
      for (const [i, hash] of more.hashes.entries()) {
        assert.equal(hash, expected[(from + i) % 5], `picture ${from + i}`)
        assert.equal(more.timestamps[i], (from + i) * 20_000)
      }
      assert.ok(second.cached > first.cached, `${first.cached} cached, then ${second.cached}`)
      assert.equal(second.decoded, 5)
      await capture.close()
      const { decoded, cached, captured } = capture.stats()
      assert.equal(decoded, 5)
      assert.ok(captured - (decoded + cached) <= 1, `${captured} captured, ${decoded} decoded, ${cached} cached`)
    })
  }

  test('that is larger than the budget keeps what fits and decodes the rest each time', async () => {
    const [width, height, count] = [4096, 2160, 12]
    const source = ['-f', 'lavfi', '-i', `color=c=teal:s=${width}x${height}:r=${count}`, '-t', '1', '-pix_fmt', 'rgb24']
    const folder = fixtureFolder('large-%02d.png', source)
    const before = memory.stats().bytes
    const capture = await openCapture(join(folder, 'large-%02d.png'), { loop: true, live: false, queue: 1 })
    let n = 0
    for await (const frame of capture) {
      frame.close()
      if (++n === 3 * count) break
    }
    const grown = memory.stats().bytes - before
    await capture.close()
    const { decoded, cached } = capture.stats()
    const bytes = 3 * width * height
    // The first so many pictures are kept: how many of all that came would that be from the cache?
    const all = Array.from({ length: decoded + cached }, (_, i) => i)
    const hits = (kept: number) => all.filter((i) => i >= count && i % count < kept).length
    const kept = all.find((k) => hits(k) === cached) ?? NaN
    console.log(`# ${kept} of ${count} pictures of ${bytes} bytes kept, ${grown} bytes of memory`)
    assert.ok(kept >= 8 && kept < count, `${kept} kept: ${decoded} decoded, ${cached} cached`)
    assert.ok(kept * bytes <= BUDGET)
    assert.ok(grown < BUDGET + 10 * bytes, `${grown} bytes`)
  })
})

test('a sequence that does not repeat ends after its last picture', async () => {
  const folder = files.pngs()
  const capture = await openCapture(join(folder, '%03d.png'), { live: false })
  const { hashes } = await pictures(capture, 100)
  assert.equal(hashes.length, 5)
  assert.equal(capture.stats().decoded, 5)
  assert.equal(capture.stats().cached, 0)
  await capture.close()
  assert.match(ffmpegOutput(['-i', join(folder, '001.png'), '-f', 'framemd5', '-']), new RegExp(hashes[0] ?? 'none'))
})

test('sequences: after everything here nothing is held and no thread runs', async () => {
  await until(() => memory.stats().threads === 0, 'no thread')
  await nothingIsHeld()
})
