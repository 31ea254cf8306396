// The command line as a user meets it: what stdout and stderr say, exit codes, and files that ffprobe agrees with. Not covered: the
// countdown before a camera (there is no camera backend yet).
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, link, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { fixture } from '../helpers/media.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../..', import.meta.url))
const main = join(root, 'dist/cli/main.js')
const clip = join(root, 'examples/media/big-buck-bunny-720p.mp4')
let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'beamline-cli-'))
})
after(() => rm(folder, { recursive: true, force: true }))

interface Ended {
  code: number
  stdout: string
  stderr: string
}

async function beamline(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  try {
    return {
      code: 0,
      ...(await run(process.execPath, [main, ...args], { cwd: folder, env: { ...process.env, ...env } })),
    }
  } catch (error) {
    const { code, stdout, stderr } = error as Ended
    return { code, stdout, stderr }
  }
}

interface Probe {
  streams: Array<{
    codec_type: string
    codec_name: string
    width: number
    height: number
    avg_frame_rate: string
    nb_read_frames: string
  }>
  format: { duration: string; size: string }
}

async function probe(file: string): Promise<Probe> {
  const args = ['-v', 'error', '-count_frames', '-show_streams', '-show_format', '-of', 'json', file]
  return JSON.parse((await run('ffprobe', args, { maxBuffer: 1e8 })).stdout) as Probe
}

/** Everything that the JSON says must be what ffprobe finds. */
async function agrees(json: string): Promise<Record<string, number | string | boolean | null>> {
  const said = JSON.parse(json) as Record<string, number>
  const { streams, format } = await probe(String(said['file']))
  const video = streams.find((s) => s.codec_type === 'video')
  assert.ok(video)
  assert.equal(Number(video.nb_read_frames), said['frames'])
  assert.equal(video.codec_name, 'h264')
  assert.match(String(said['codec']), /^avc1\.[0-9a-f]{6}$/)
  assert.deepEqual([video.width, video.height], [said['width'], said['height']])
  const [num = 0, den = 1] = video.avg_frame_rate.split('/').map(Number)
  assert.ok(Math.abs(num / den - (said['fps'] ?? 0)) < 0.01, `fps ${num / den} against ${said['fps']}`)
  assert.ok(
    Math.abs(Number(format.duration) - (said['seconds'] ?? 0)) < 0.001,
    `seconds ${format.duration} against ${said['seconds']}`,
  )
  assert.equal(Number(format.size), said['bytes'])
  return said
}

test('record: takes the clip in CI, says why, and ffprobe agrees with what it says', async () => {
  const { code, stdout, stderr } = await beamline(['record', '--json', '--fast'], { CI: 'true' })
  assert.equal(code, 0, stderr)
  const said = await agrees(stdout)
  assert.equal(said['frames'], 125)
  assert.equal(said['copiesPerFrame'], 0)
  assert.equal(said['dropped'], 0)
  assert.ok(['external', 'wasm', 'copy'].includes(String(said['zeroCopyMode'])))
  assert.match(stderr, /the clip that ships with Beamline \(this is CI/)
  assert.equal((await readFile(String(said['poster']))).subarray(1, 4).toString(), 'PNG')
  const { streams } = await probe(String(said['file']))
  assert.equal(streams.find((s) => s.codec_type === 'audio')?.codec_name, 'aac')
})

test('record: plays a file at its own speed unless told otherwise', async () => {
  const { stdout } = await beamline(['record', clip, '-o', 'paced.mp4', '--duration', '1.5', '--json', '--no-poster'])
  const said = await agrees(stdout)
  assert.ok(Number(said['speed']) <= 1.05, `speed ${said['speed']}`)
  assert.equal(said['poster'], null)
})

test('record: scales, thins out and counts the copy that scaling is', async () => {
  const args = [
    'record',
    clip,
    '-o',
    'small.mp4',
    '--width',
    '322',
    '--frame-rate',
    '10',
    '--bitrate',
    '300k',
    '--fast',
    '--json',
  ]
  const said = await agrees((await beamline(args)).stdout)
  assert.deepEqual([said['width'], said['height'], said['copiesPerFrame']], [322, 182, 1])
})

test('record: records a capture, live and as fast as possible', async () => {
  for (const more of [[], ['--fast']]) {
    const args = [
      'record',
      'pattern:ball?width=320&height=180&frameRate=30',
      '-o',
      'ball.mp4',
      '--duration',
      '1',
      '--json',
      ...more,
    ]
    const said = await agrees((await beamline(args)).stdout)
    assert.equal(said['frames'], 30)
    assert.equal(said['copiesPerFrame'], 0)
  }
})

test('record: Ctrl-C ends with a complete file, sound and pictures of one length', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, [main, 'record', clip, '-o', 'stopped.mp4', '--json'], { cwd: folder })
  let stdout = ''
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
  const file = join(folder, 'stopped.mp4')
  // When the first fragment is on the disk there is something to keep.
  for (;;) {
    const bytes = await stat(file).then(
      (s) => s.size,
      () => 0,
    )
    if (bytes > 0) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  child.kill('SIGINT')
  const [code] = (await once(child, 'exit')) as [number]
  assert.equal(code, 0)
  const said = await agrees(stdout)
  assert.equal(said['interrupted'], true)
  assert.ok(Number(said['frames']) < 125, `${said['frames']} frames`)
  const pictures = Number(said['frames']) / Number(said['fps'])
  assert.ok(
    Math.abs(Number(said['seconds']) - pictures) < 0.1,
    `${said['seconds']} s of file, ${pictures} s of pictures`,
  )
})

const SOUND = ['-f', 'lavfi', '-i', 'sine=d=1', '-c:a', 'aac']

test('record: a wrong command line is exit code 2, a missing source 3, an unwritable target 4', async () => {
  const cases: Array<[string[], number, RegExp]> = [
    [['record', '--bogus'], 2, /--bogus/],
    [['record', 'a', 'b'], 2, /at most 1/],
    [['record', '--duration', '0'], 2, /seconds above 0/],
    [['record', '--policy', 'maybe'], 2, /block, drop-oldest/],
    [['record', '--bitrate', 'much'], 2, /4000k/],
    [['record', '--bitrate', '0'], 2, /1k to 2000M/],
    [['record', '--bitrate', '2001M'], 2, /1k to 2000M/],
    [['record', '--preset', 'x'], 2, /ultrafast.*--preset.*'x'/],
    [['record', '--poster', 'x.gif'], 2, /\.png, \.jpg or \.jpeg.*'x\.gif'/],
    [['nonsense'], 2, /record, devices, doctor/],
    [[], 2, /^$/],
    [['record', 'not-there.mp4'], 3, /No such file/],
    [['record', 'pattern:nope'], 3, /smpte/],
    [['record', main], 3, /no media file/],
    [['record', clip, '-o', join(folder, 'no/such/folder.mp4')], 4, /No such file/],
    [['record', clip, '-o', 'file.xyz'], 2, /mp4, mov/],
    [['record', fixture('mute.m4a', SOUND), '-o', 'never.mp4'], 3, /but the file '[^']*mute\.m4a' has none/],
  ]
  for (const [args, expected, words] of cases) {
    const { code, stderr } = await beamline(args)
    assert.equal(code, expected, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, words)
  }
})

test('record: neither the file nor its poster ever replaces the source', async () => {
  const source = join(folder, 'precious.mp4')
  await copyFile(clip, source)
  const { size } = await stat(source)
  await symlink(source, join(folder, 'precious.png'))
  for (const more of [
    ['-o', 'precious.mp4'],
    ['-o', 'other.mp4', '--poster', 'precious.png'],
  ]) {
    const { code, stderr } = await beamline(['record', source, ...more, '--fast'])
    assert.equal(code, 2, stderr)
    assert.match(stderr, /than the source/)
    assert.equal((await stat(source)).size, size)
  }
  const raw = join(folder, 'precious.yuv')
  await writeFile(raw, Buffer.alloc(64 * 64 * 1.5))
  const { code } = await beamline(['record', 'raw:precious.yuv?width=64&height=64&format=I420', '-o', 'precious.yuv'])
  assert.equal(code, 2)
  assert.equal((await stat(raw)).size, 64 * 64 * 1.5)
})

test('record: film and poster are never one file, by whatever names', async () => {
  await symlink('later.mp4', join(folder, 'later.png'))
  await writeFile(join(folder, 'both.mp4'), 'there already')
  await link(join(folder, 'both.mp4'), join(folder, 'both.jpg'))
  for (const [film = '', poster = ''] of [
    ['./one.png', 'one.png'],
    ['later.mp4', 'later.png'],
    ['both.mp4', 'both.jpg'],
  ]) {
    const { code, stderr } = await beamline(['record', clip, '--fast', '-o', film, '--poster', poster])
    assert.equal(code, 2, stderr)
    assert.match(stderr, /another file for the poster than the film/)
  }
  assert.equal(await readFile(join(folder, 'both.mp4'), 'utf8'), 'there already')
  await assert.rejects(stat(join(folder, 'later.mp4')), { code: 'ENOENT' })
})

test('record: a poster is what its name says; one that was asked for and cannot be written is exit code 4', async () => {
  const short = ['record', clip, '--fast', '--duration', '0.2', '--json', '-o', 'film.mp4', '--poster']
  const jpeg = await beamline([...short, 'still.JPG'])
  assert.equal(jpeg.code, 0, jpeg.stderr)
  assert.deepEqual([...(await readFile(join(folder, 'still.JPG'))).subarray(0, 3)], [0xff, 0xd8, 0xff])
  const nowhere = await beamline([...short, 'no/such/still.png'])
  assert.equal(nowhere.code, 4, nowhere.stderr)
  assert.match(nowhere.stderr, /no\/such\/still\.png/)
  assert.equal((await agrees(nowhere.stdout))['poster'], null)
})

test('record: what is wrong with the installation is told first, as exit code 1, and nothing is written', async () => {
  const args = ['record', clip, '--fast', '--duration', '0.2', '-o', 'nothing.mp4']
  const unloaded = await beamline(args, { BEAMLINE_NATIVE_PATH: '/nowhere.node' })
  assert.equal(unloaded.code, 1, unloaded.stderr)
  assert.match(unloaded.stderr, /does not load:\n.*Cannot find module '\/nowhere\.node'/)
  const mode = await beamline(args, { BEAMLINE_ZERO_COPY: 'foo' })
  assert.equal(mode.code, 1, mode.stderr)
  assert.match(mode.stderr, /BEAMLINE_ZERO_COPY.*external, wasm, copy.*'foo'/)
  assert.doesNotMatch(mode.stderr, /recording/)
  await assert.rejects(stat(join(folder, 'nothing.mp4')), { code: 'ENOENT' })
})

test('record: a picture that nobody asked for replaces no file; one that was asked for does', async () => {
  const png = join(folder, 'holiday.png')
  await writeFile(png, 'precious')
  const run = async (...more: string[]) => {
    const args = ['record', clip, '-o', 'holiday.mp4', '--duration', '0.5', '--fast', '--json', ...more]
    const { code, stdout, stderr } = await beamline(args)
    assert.equal(code, 0, stderr)
    const { poster } = JSON.parse(stdout) as { poster: string }
    assert.equal((await readFile(poster)).subarray(1, 4).toString(), 'PNG')
    return { poster, stderr }
  }
  for (const n of [2, 3]) {
    const { poster, stderr } = await run()
    assert.equal(poster, join(folder, `holiday-${n}.png`))
    assert.match(stderr, /holiday\.png was there already/)
  }
  assert.equal(await readFile(png, 'utf8'), 'precious')
  assert.equal((await run('--poster', 'holiday.png')).poster, png)
})

test('record: of pictures of one and the same time the first is written, the others are counted as dropped', async () => {
  // Matroska counts in ms: three pictures in each.
  const made = ['-f', 'lavfi', '-i', 'testsrc=r=3000:s=64x64:d=0.1', '-c:v', 'libx264', '-preset', 'ultrafast']
  const { code, stdout, stderr } = await beamline([
    'record',
    fixture('crowded.mkv', made),
    '-o',
    'crowded.mp4',
    '--fast',
    '--no-poster',
    '--json',
  ])
  assert.equal(code, 0, stderr)
  const { frames, dropped } = JSON.parse(stdout) as { frames: number; dropped: number }
  assert.equal(frames + dropped, 300)
  assert.ok(Math.abs(frames - 100) <= 1, `${frames} frames`)
})

test('help: every command has one with examples; it works where the addon does not load', async () => {
  const env = { BEAMLINE_NATIVE_PATH: '/nowhere.node' }
  for (const args of [['--help'], ['record', '--help'], ['devices', '--help'], ['doctor', '--help']]) {
    const { code, stdout } = await beamline(args, env)
    assert.equal(code, 0)
    assert.match(stdout, args.length === 1 ? /Commands:/ : /Examples:/)
  }
  assert.match((await beamline(['--version'], env)).stdout, /^\d+\.\d+\.\d+\n$/)
})

test('devices: lists the patterns as data', async () => {
  const { stdout } = await beamline(['devices', '--json'])
  const devices = JSON.parse(stdout) as Array<{ id: string; kind: string }>
  assert.ok(devices.some((d) => d.id === 'pattern:smpte' && d.kind === 'pattern'))
})

test('doctor: says that all works here, and what to do where it does not', async () => {
  const well = await beamline(['doctor', '--json'])
  assert.equal(well.code, 0, well.stdout)
  const findings = JSON.parse(well.stdout) as Array<{ state: string; what: string; todo: string | null }>
  assert.ok(findings.every((f) => f.state !== 'broken'))
  const ill = await beamline(['doctor', '--json'], { BEAMLINE_NATIVE_PATH: '/nowhere.node' })
  assert.equal(ill.code, 1)
  const broken = (JSON.parse(ill.stdout) as typeof findings).filter((f) => f.state === 'broken')
  assert.deepEqual(
    broken.map((f) => [f.what, typeof f.todo]),
    [['native addon', 'string']],
  )
})
