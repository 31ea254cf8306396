// What `beamline record` makes of files that are pictures, of rates and sizes that they do not have, and of sources that fail.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { runNode } from '../helpers/child.js'
import { clip, files, frameHashes, root, scratch, streamsOf } from '../helpers/media.js'

const main = join(root, 'dist', 'cli', 'main.js')
const folder = scratch()

const beamline = (...args: string[]) => runNode([main, ...args], { cwd: folder })

interface Said {
  file: string
  frames: number
  fps: number
  seconds: number
  width: number
  height: number
  copiesPerFrame: number
}

async function record(source: string, ...more: string[]): Promise<Said> {
  const ended = await beamline('record', source, '--fast', '--no-poster', '--json', ...more)
  assert.equal(ended.code, 0, ended.stderr)
  const said = JSON.parse(ended.stdout) as Said
  const [video] = streamsOf(said.file)
  assert.deepEqual([video?.width, video?.height, Number(video?.nb_read_frames)], [said.width, said.height, said.frames])
  return said
}

describe('record: --width and --height scale pictures in files, whatever their own size', () => {
  const sources: ReadonlyArray<readonly [string, () => string]> = [
    ['Y4M', files.y4m],
    ['PNG sequence', () => join(files.pngs(), '%03d.png')],
    ['JPEG sequence', () => join(files.jpegs(), '%03d.jpg')],
    ['raw', () => `raw:${raw()}?format=i420&width=160&height=90`],
  ]
  const raw = () => {
    const path = join(folder, 'clip.yuv')
    if (!existsSync(path)) execFileSync('ffmpeg', ['-v', 'error', '-i', files.y4m(), '-f', 'rawvideo', path])
    return path
  }
  for (const [name, source] of sources) {
    test(name, async () => {
      const said = await record(source(), '--width', '80', '-o', 'small.mp4')
      assert.deepEqual([said.width, said.height, said.copiesPerFrame], [80, 46, 1])
      const both = await record(source(), '--width', '64', '--height', '64', '-o', 'small.mp4')
      assert.deepEqual([both.width, both.height], [64, 64])
    })
  }
})

describe('record: --frame-rate of a file', () => {
  test('above its own: pictures are repeated, at the same speed and without a copy', async () => {
    for (const source of [files.silent(), files.y4m()]) {
      const own = await record(source, '-o', 'own.mp4')
      const said = await record(source, '--frame-rate', '50', '-o', 'more.mp4')
      assert.deepEqual([said.frames, said.fps, said.copiesPerFrame], [2 * own.frames, 50, 0])
      assert.ok(Math.abs(said.seconds - own.seconds) < 0.001, `${said.seconds} s for ${own.seconds} s`)
    }
  })

  test('below its own: pictures are left out, at the same speed', async () => {
    const said = await record(clip, '--frame-rate', '10', '--duration', '2', '-o', 'less.mp4')
    assert.deepEqual([said.frames, said.fps], [20, 10])
    const times = frameHashes(said.file).map((f) => Math.round(f.timestamp))
    assert.deepEqual(
      times,
      times.map((_, i) => i * 100_000),
    )
  })

  test('of a file of varying rate: it is steady afterwards', async () => {
    const said = await record(files.variable(), '--frame-rate', '30', '-o', 'steady.mp4')
    const times = frameHashes(said.file).map((f) => f.timestamp)
    for (const [i, time] of times.entries()) assert.ok(Math.abs(time - (i * 1e6) / 30) < 100, `picture ${i}: ${time}`)
  })

  test('of a numbered sequence, which has none: it is shown at that rate', async () => {
    const said = await record(join(files.pngs(), '%03d.png'), '--frame-rate', '10', '-o', 'slow.mp4')
    assert.deepEqual([said.frames, said.fps, said.seconds], [5, 10, 0.5])
  })
})

test('record: what is wrong with a source is told as it is, with exit code 3', async () => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    [`${files.y4m()}?bogus=1`, /expected options of .*'bogus'/],
    [files.undecodable(), /decoding mpeg4 is not supported/],
    [join(folder, 'nope.y4m'), /cannot open .*nope\.y4m.*\n.*spelling/],
    [join(folder, 'nope.mp4'), /cannot open .*nope\.mp4.*\n.*spelling/],
  ]
  for (const [source, words] of cases) {
    const ended = await beamline('record', source, '-o', 'never.mp4')
    assert.equal(ended.code, 3, `${source}: ${ended.stderr}`)
    assert.match(ended.stderr, words)
    assert.equal(existsSync(join(folder, 'never.mp4')), false)
  }
})

test('record: of a file that ends too early what can be decoded is kept, sound included; exit code 3', async () => {
  const cut = join(folder, 'cut.mp4')
  writeFileSync(cut, readFileSync(files.indexInFront()).subarray(0, -60_000))
  const ended = await beamline('record', cut, '--fast', '--no-poster', '--json', '-o', 'kept.mp4')
  assert.equal(ended.code, 3, ended.stderr)
  assert.match(ended.stderr, /ends too early[\s\S]*what came before is in the file/)
  const { file, frames } = JSON.parse(ended.stdout) as Said
  const [video, audio] = streamsOf(file)
  assert.ok(frames > 10 && frames < 50, `${frames} frames`)
  assert.equal(Number(video?.nb_read_frames), frames)
  assert.ok(Number(audio?.nb_read_frames) > 10, `${audio?.nb_read_frames} blocks of sound`)
})

test('devices: a kind that does not exist is a wrong command line', async () => {
  const ended = await beamline('devices', '--kind', 'bogus')
  assert.equal(ended.code, 2)
  assert.match(ended.stderr, /camera.*--kind.*'bogus'/)
  assert.equal(ended.stdout, '')
})

test('record: Ctrl-C while it counts down before a camera closes the camera', async () => {
  const module = pathToFileURL(join(root, 'dist', 'cli', 'record-source.js')).href
  const { ready } = (await import(module)) as {
    ready(source: { close(): Promise<void> }, signal: AbortSignal): Promise<unknown>
  }
  let closed = 0
  const camera = { close: async () => void closed++ }
  const abort = new AbortController()
  const waiting = ready(camera, abort.signal)
  abort.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  assert.equal(closed, 1)
})
