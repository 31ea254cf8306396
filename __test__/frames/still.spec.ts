import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeImage, type EncodeImageOptions, VideoFrame } from 'beamline'
import { ffmpegOutput, scratch, streamsOf } from '../helpers/media.js'
import { nothingIsHeld } from '../helpers/memory.js'

const folder = scratch()
const [width, height] = [66, 34]
const pixels = Uint8Array.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 7) % 256))
const make = () => new VideoFrame(pixels, { format: 'RGBA', codedWidth: width, codedHeight: height, timestamp: 0 })

test('encodeImage: a PNG holds the very pixels; the frame may be closed right after the call', async () => {
  const frame = make()
  const encoding = encodeImage(frame)
  frame.close()
  const path = join(folder, 'still.png')
  writeFileSync(path, await encoding)
  const [image] = streamsOf(path)
  assert.deepEqual([image?.codec_name, image?.width, image?.height], ['png', width, height])
  const raw = join(folder, 'still.rgba')
  ffmpegOutput(['-i', path, '-pix_fmt', 'rgba', '-f', 'rawvideo', raw])
  assert.deepEqual(new Uint8Array(readFileSync(raw)), pixels)
})

test('encodeImage: a JPEG of less quality is smaller', async () => {
  using frame = make()
  const [good, small] = await Promise.all(
    [1, 0.1].map((quality) => encodeImage(frame, { type: 'image/jpeg', quality })),
  )
  const path = join(folder, 'still.jpg')
  writeFileSync(path, good!)
  const [image] = streamsOf(path)
  assert.deepEqual([image?.codec_name, image?.width, image?.height], ['mjpeg', width, height])
  assert.ok(small!.length < good!.length, `${small!.length} and ${good!.length} bytes`)
})

test('encodeImage: what cannot be is refused in words', async () => {
  using frame = make()
  const refused = async (options: object, code: string, message: RegExp) =>
    assert.rejects(encodeImage(frame, options as EncodeImageOptions), { name: 'BeamlineError', code, message })
  await refused({ type: 5 }, 'InvalidConfig', /'image\/png' or 'image\/jpeg' for 'type' but received 5/)
  await refused({ type: 'image/webp' }, 'NotSupported', /image\/webp/)
  await refused({ quality: 2 }, 'InvalidConfig', /0 to 1 for 'quality' but received 2/)
  await refused({ signal: {} }, 'InvalidConfig', /AbortSignal/)
  await assert.rejects(encodeImage(frame, { signal: AbortSignal.abort('no') }), (e) => e === 'no')
  frame.close()
  await assert.rejects(encodeImage(frame), { name: 'InvalidStateError' })
})

test('stills: after everything here nothing is held', nothingIsHeld)
