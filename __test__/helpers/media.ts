// Media for tests: made by the `ffmpeg` command, kept in the user's cache under a name made of the command line.
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { basename, extname, join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'

/** The checkout. */
export const root = fileURLToPath(new URL('../../../', import.meta.url))
/** Five seconds and more of real video with sound. */
export const clip = join(root, 'examples', 'media', 'big-buck-bunny-720p.mp4')

const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'beamline-fixtures')

const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 }

/** What `ffmpeg` prints on stdout for these arguments. */
export function ffmpegOutput(args: readonly string[]): string {
  return String(execFileSync('ffmpeg', ['-v', 'error', '-nostdin', ...args], quiet))
}

function cacheName(args: readonly string[], name: string): string {
  const { size, mtimeMs } = statSync(clip)
  const key = createHash('sha256').update(JSON.stringify({ args, name, size, mtimeMs })).digest('hex').slice(0, 16)
  return join(cache, `${key}-${name}`)
}

/** A file that `ffmpeg` makes: `args` without the output, `name` with the ending. Made once. */
export function fixture(name: string, args: readonly string[]): string {
  const path = cacheName(args, name)
  if (existsSync(path)) return path
  mkdirSync(cache, { recursive: true })
  // Several test files run at once: each makes its own, the last one stays.
  const making = `${path}.${process.pid}${extname(name)}`
  execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args, making], quiet)
  renameSync(making, path)
  return path
}

/** A folder of files that `ffmpeg` makes: `pattern` such as `%03d.png`. */
export function fixtureFolder(pattern: string, args: readonly string[]): string {
  const path = cacheName(args, basename(pattern).replace(/\W/g, '_'))
  if (existsSync(path)) return path
  const making = `${path}.${process.pid}`
  mkdirSync(making, { recursive: true })
  execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args, join(making, pattern)], quiet)
  try {
    renameSync(making, path)
  } catch {
    rmSync(making, { recursive: true, force: true }) // another file made it meanwhile
  }
  return path
}

const x264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-threads', '1']
const short = (s: number) => ['-i', clip, '-t', String(s)]

/** The kinds of file that the clip alone does not show. */
export const files = {
  /** Two seconds with B-frames and AAC. */
  bFrames: () =>
    fixture('b-frames.mp4', [
      ...short(2),
      '-vf',
      'scale=320:180',
      '-c:v',
      'libx264',
      '-preset',
      'fast',
      '-bf',
      '3',
      '-b_strategy',
      '0',
      '-threads',
      '1',
      '-c:a',
      'aac',
    ]),
  /** `scale` alone would keep 16:9 by pixels that are not square. */
  odd: () => fixture('odd-322x182.mp4', [...short(1), '-an', '-vf', 'scale=322:182,setsar=1', ...x264]),
  rotated: () => fixture('rotated.mp4', ['-i', files.odd(), '-c', 'copy', '-metadata:s:v', 'rotate=90']),
  /** Pixels of 16:11. */
  anamorphic: () => fixture('anamorphic.mp4', [...short(0.4), '-an', '-vf', 'scale=180:144,setsar=16/11', ...x264]),
  /** The same without a container's word. */
  anamorphicBits: () => fixture('anamorphic.264', ['-i', files.anamorphic(), '-c', 'copy']),
  /** Frames at 0, 1, 4, 9, … thirtieths of a second. */
  variable: () =>
    fixture('vfr.mp4', [
      ...short(3),
      '-an',
      '-vf',
      "scale=160:90,select='not(mod(n\\,2))+not(mod(n\\,5))'",
      '-fps_mode',
      'vfr',
      ...x264,
    ]),
  primed: () => fixture('primed.mp4', [...short(2), '-vf', 'scale=160:90', ...x264, '-c:a', 'aac']),
  silent: () => fixture('silent.mp4', [...short(1), '-an', '-vf', 'scale=160:90', ...x264]),
  mov: () => fixture('clip.mov', [...short(1), '-vf', 'scale=160:90', ...x264, '-c:a', 'aac']),
  /** The whole clip with its index in front. */
  indexInFront: () =>
    fixture('faststart.mp4', [
      ...short(2),
      '-vf',
      'scale=320:180',
      '-c:v',
      'libx264',
      '-preset',
      'fast',
      '-g',
      '12',
      '-threads',
      '1',
      '-c:a',
      'aac',
      '-movflags',
      '+faststart',
    ]),
  /** One second at 160×90. */
  tiny: () =>
    fixture('tiny.mp4', [
      ...short(1),
      '-vf',
      'scale=160:90',
      '-c:v',
      'libx264',
      '-preset',
      'fast',
      '-threads',
      '1',
      '-c:a',
      'aac',
      '-movflags',
      '+faststart',
    ]),
  /** Pictures in a codec that is not decoded here: MPEG-4 part 2. */
  undecodable: () => fixture('mpeg4-part-2.mp4', [...short(0.4), '-an', '-vf', 'scale=160:90', '-c:v', 'mpeg4']),
  y4m: () => fixture('clip.y4m', [...short(0.4), '-an', '-vf', 'scale=160:90', '-pix_fmt', 'yuv420p']),
  pngs: () => fixtureFolder('%03d.png', [...short(0.2), '-an', '-vf', 'scale=160:90']),
  jpegs: () => fixtureFolder('%03d.jpg', [...short(0.2), '-an', '-vf', 'scale=160:90', '-q:v', '2']),
}

/** What ffprobe says, as JSON. */
export function ffprobe<T = Record<string, unknown>>(path: string, args: readonly string[]): T {
  return JSON.parse(String(execFileSync('ffprobe', ['-v', 'error', '-of', 'json', ...args, path], quiet))) as T
}

/** A stream as ffprobe tells it. */
export interface ProbedStream {
  index: number
  codec_type: string
  codec_name: string
  profile: string
  width: number
  height: number
  start_time: string
  duration: string
  avg_frame_rate: string
  r_frame_rate: string
  nb_read_frames: string
  sample_rate: string
  channels: number
}

/** The streams of a file, every frame counted. */
export function streamsOf(path: string): ProbedStream[] {
  return ffprobe<{ streams: ProbedStream[] }>(path, ['-count_frames', '-show_streams']).streams
}

/** A packet as ffprobe tells it; times in µs. */
export interface ProbedPacket {
  pts: number
  dts: number
  duration: number
  size: number
  key: boolean
}

/** The packets of one stream (`v:0`, `a:0`), in the order of the file. */
export function packetsOf(path: string, stream: string): ProbedPacket[] {
  const { packets } = ffprobe<{ packets: Array<Record<string, string>> }>(path, [
    '-select_streams',
    stream,
    '-show_packets',
  ])
  const us = (text: string | undefined) => Math.round(Number(text ?? NaN) * 1e6)
  return packets.map((p) => ({
    pts: us(p['pts_time']),
    dts: us(p['dts_time']),
    duration: us(p['duration_time']),
    size: Number(p['size']),
    key: (p['flags'] ?? '').includes('K'),
  }))
}

/** MD5 of every decoded picture, packed, and its timestamp in µs, as `ffmpeg -f framemd5` prints them. */
export function frameHashes(path: string, format = 'yuv420p'): Array<{ hash: string; timestamp: number }> {
  const text = ffmpegOutput([
    '-threads',
    '1',
    '-noautorotate',
    '-i',
    path,
    '-map',
    '0:v:0',
    '-fps_mode',
    'passthrough',
    '-copyts',
    '-pix_fmt',
    format,
    '-f',
    'framemd5',
    '-',
  ])
  const [num = 1, den = 1] = (/^#tb 0: (\d+)\/(\d+)/m.exec(text)?.slice(1) ?? []).map(Number)
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const fields = line.split(',').map((f) => f.trim())
      return { hash: fields[5] as string, timestamp: (Number(fields[2]) * num * 1e6) / den }
    })
}

/** A folder that is gone after the test file. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
