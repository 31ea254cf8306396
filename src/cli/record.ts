import { resolve } from 'node:path'
import { BeamlineError } from '../errors.js'
import type { QueuePolicy } from '../frame-stream.js'
import { VideoFrame } from '../media/video-frame.js'
import { createOutput, type Output, type OutputReport, type OutputVideoConfig } from '../output.js'
import { memory, runtime } from '../runtime.js'
import { type Args, readBitrate, UsageError } from './args.js'
import { EXIT } from './commands.js'
import { sameFile } from './overwrite.js'
import { Bar, say, sayError, size } from './people.js'
import { type PosterPlace, stillType, writePoster } from './poster.js'
import { fileOf, openSource, type RecordSource, round, SourceError } from './record-source.js'

const DEFAULT_FILE = 'beamline-recording.mp4'
const DEFAULT_SECONDS = 5
const POLICIES = ['block', 'drop-oldest', 'drop-newest', 'latest']
const PRESETS = 'ultrafast superfast veryfast faster fast medium slow slower veryslow placebo'.split(' ')

/** What `--json` prints. */
export interface RecordReport {
  file: string
  poster: string | null
  frames: number
  seconds: number
  fps: number
  /** Seconds of media per second of time. */
  speed: number
  dropped: number
  copiesPerFrame: number
  zeroCopyMode: string
  codec: string
  encoder: string
  width: number
  height: number
  bytes: number
  /** Whether Ctrl-C ended it. */
  interrupted: boolean
}

interface Settings {
  source: string | undefined
  file: string
  poster: PosterPlace | null
  durationUs: number
  width: number | undefined
  height: number | undefined
  frameRate: number | undefined
  bitrate: number | undefined
  policy: QueuePolicy | undefined
  preset: string | undefined
  fast: boolean
  json: boolean
}

function settingsOf(args: Args): Settings {
  const file = args.text('output') ?? DEFAULT_FILE
  const preset = args.text('preset')
  if (preset !== undefined && !PRESETS.includes(preset))
    throw new UsageError(`expected ${PRESETS.join(', ')} for --preset but received '${preset}'`)
  const side = (n: number) => Number.isInteger(n) && n >= 2 && n <= 16384
  const policy = args.text('policy')
  if (policy !== undefined && !POLICIES.includes(policy)) {
    throw new UsageError(`expected ${POLICIES.join(', ')} for --policy but received '${policy}'`)
  }
  const seconds = args.number('duration', 'seconds above 0', (n) => n > 0 && n <= 1e9) ?? DEFAULT_SECONDS
  const poster = args.flag('no-poster') ? null : posterOf(args, file)
  if (poster?.replaces && sameFile(poster.path, resolve(file)))
    throw new UsageError(`expected another file for the poster than the film but received '${poster.path}' for both`)
  const source = args.positionals[0]
  refuseToOverwrite(source, file, poster)
  return {
    source,
    file: resolve(file),
    poster,
    durationUs: Math.round(seconds * 1e6),
    width: args.number('width', '2 to 16384 pixels', side),
    height: args.number('height', '2 to 16384 pixels', side),
    frameRate: args.number('frame-rate', 'a rate above 0 and up to 1000', (n) => n > 0 && n <= 1000),
    bitrate: readBitrate(args.text('bitrate')),
    policy: policy as QueuePolicy | undefined,
    preset,
    fast: args.flag('fast'),
    json: args.flag('json'),
  }
}

/** A picture that nobody asked for replaces nothing but that of an earlier recording without a name. */
function posterOf(args: Args, file: string): PosterPlace {
  const name = args.text('poster')
  if (name !== undefined && stillType(name) === undefined)
    throw new UsageError(`expected a file that ends in .png, .jpg or .jpeg for --poster but received '${name}'`)
  const asked = name !== undefined
  const replaces = asked || args.text('output') === undefined
  return { path: resolve(name ?? `${file.replace(/\.\w+$/, '')}.png`), asked, replaces }
}

/** What went through. */
interface Progress {
  /** Frames whose time was not after that of the one before: no file holds them. */
  refused: number
  frames: number
  firstUs: number
  lastUs: number
  endUs: number
  width: number
  height: number
  poster: VideoFrame | undefined
}

/** `beamline record`. */
export async function record(args: Args): Promise<number> {
  const settings = settingsOf(args)
  const interrupt = new AbortController()
  const onSignal = () => {
    if (interrupt.signal.aborted) process.exit(130)
    say('\n  stopping: the file will be complete (Ctrl-C again quits at once)')
    interrupt.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    return await run(settings, interrupt.signal)
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

async function run(settings: Settings, signal: AbortSignal): Promise<number> {
  // An addon that does not load, or a way of seeing frames that does not work here, is told before anything is recorded.
  void runtime.zeroCopyMode
  let source: RecordSource
  try {
    source = await openSource(settings.source, { ...settings, signal })
  } catch (error) {
    if (signal.aborted) return EXIT.ok
    sayError(error)
    return EXIT.source
  }
  say(source.why)
  let output: Output
  try {
    output = await createOutput(settings.file)
  } catch (error) {
    await source.close()
    sayError(error)
    // It was not even tried: the name says no container.
    return error instanceof BeamlineError && error.code === 'InvalidConfig' ? EXIT.usage : EXIT.target
  }
  try {
    return await pump(settings, source, output, signal)
  } catch (error) {
    const left = await output.abort().catch(() => undefined)
    // Of a full disk it is said here what there is to ask `abort()`.
    if (isFullDisk(error)) say(`beamline: ${error.message}\n  free some space, or record elsewhere`)
    else sayError(error instanceof SourceError ? error.cause : error)
    if (left?.playable) say(`  what was written before is playable: ${settings.file}`)
    else if (isFullDisk(error)) say('  nothing playable was written: nothing of it is left')
    if (error instanceof SourceError) return EXIT.source
    return isTargetError(error) ? EXIT.target : EXIT.failed
  } finally {
    await source.close()
  }
}

/** Recording a file into itself, or its poster over it, would lose it. */
function refuseToOverwrite(source: string | undefined, file: string, poster: PosterPlace | null): void {
  const picture = poster?.replaces ? poster.path : undefined
  const read = source === undefined ? undefined : fileOf(source)
  if (read === undefined) return
  if (sameFile(read, file))
    throw new UsageError(`expected another file to write than the source but received '${file}' for both`)
  if (picture !== undefined && sameFile(read, picture))
    throw new UsageError(`expected another file for the poster than the source but received '${picture}' for both`)
}

function isFullDisk(error: unknown): error is BeamlineError {
  return error instanceof BeamlineError && error.reason === 'disk-full'
}

function isTargetError(error: unknown): boolean {
  return error instanceof BeamlineError && ['disk-full', 'not-allowed', 'io'].includes(error.reason)
}

async function pump(settings: Settings, source: RecordSource, output: Output, signal: AbortSignal): Promise<number> {
  const config: OutputVideoConfig = { codec: 'h264' }
  if (source.frameRate) config.frameRate = source.frameRate
  if (settings.bitrate !== undefined) config.bitrate = settings.bitrate
  if (settings.preset !== undefined) config.preset = settings.preset
  if (source.scale.width !== undefined) config.width = source.scale.width
  if (source.scale.height !== undefined) config.height = source.scale.height
  const track = output.addVideo(config)
  say(`  ${source.sound(output)}`)
  const copies = memory.stats().copies
  const begin = performance.now()
  const bar = new Bar()
  let failure: SourceError | undefined
  const progress: Progress = {
    refused: 0,
    frames: 0,
    firstUs: 0,
    lastUs: 0,
    endUs: 0,
    width: 0,
    height: 0,
    poster: undefined,
  }
  try {
    for await (const frame of source.frames()) {
      try {
        await track.write(frame)
        note(progress, frame, settings)
      } catch (error) {
        if (!(error instanceof BeamlineError && error.reason === 'timestamp-order')) throw error
        progress.refused++
      } finally {
        frame.close()
      }
      bar.show((progress.endUs - progress.firstUs) / settings.durationUs, `${progress.frames} frames`)
      if (signal.aborted) break
    }
  } catch (error) {
    // What a source gave before it failed is kept.
    if (error instanceof SourceError && progress.frames > 0) failure = error
    else if (!signal.aborted) throw error
  } finally {
    bar.end()
  }
  if (progress.frames === 0 && signal.aborted) {
    await output.abort()
    say('  nothing was recorded')
    return EXIT.ok
  }
  const report = await output.close()
  const wallSeconds = (performance.now() - begin) / 1000
  const copied = memory.stats().copies - copies
  const done = summary(settings, source, output, report, progress, wallSeconds, copied, signal.aborted)
  done.poster = await poster(settings, progress)
  tell(settings, done)
  const lacks = settings.poster?.asked && progress.poster && done.poster === null
  if (!failure || signal.aborted) return lacks ? EXIT.target : EXIT.ok
  sayError(failure.cause)
  say('  what came before is in the file')
  return EXIT.source
}

function note(progress: Progress, frame: VideoFrame, settings: Settings): void {
  if (progress.frames === 0) progress.firstUs = frame.timestamp
  progress.frames++
  progress.lastUs = frame.timestamp
  progress.endUs = frame.timestamp + (frame.duration ?? 0)
  // As it is encoded: a turned picture is turned by the player.
  progress.width = frame.visibleRect?.width ?? 0
  progress.height = frame.visibleRect?.height ?? 0
  if (settings.poster === null) return
  // The first one, and then the one in the middle.
  const middle = frame.timestamp - progress.firstUs >= settings.durationUs / 2
  if (progress.frames === 1 || (middle && progress.poster && progress.poster.timestamp === progress.firstUs)) {
    progress.poster?.close()
    progress.poster = frame.clone()
  }
}

function summary(
  settings: Settings,
  source: RecordSource,
  output: Output,
  report: OutputReport,
  progress: Progress,
  wallSeconds: number,
  copies: number,
  interrupted: boolean,
): RecordReport {
  const stats = output.stats()
  const pictures = (progress.endUs - progress.firstUs) / 1e6
  return {
    file: settings.file,
    poster: null,
    frames: stats.frames,
    seconds: report.duration / 1e6,
    fps: pictures > 0 ? Math.round((stats.frames / pictures) * 1000) / 1000 : 0,
    speed: Math.round((report.duration / 1e6 / wallSeconds) * 100) / 100,
    dropped: source.dropped() + progress.refused,
    copiesPerFrame: Math.round((copies / stats.frames) * 1000) / 1000,
    zeroCopyMode: runtime.zeroCopyMode,
    codec: stats.codecs[0] ?? '',
    encoder: stats.encoders[0] ?? '',
    ...encodedSize(source, progress),
    bytes: report.bytes,
    interrupted,
  }
}

/** The size that was encoded: as asked for, one side alone keeping the shape; whole pairs of pixels. */
function encodedSize(source: RecordSource, { width, height }: Progress): { width: number; height: number } {
  const { width: w, height: h } = source.scale
  const even = (n: number) => Math.max(2, Math.round(n / 2) * 2)
  const down = (n: number) => Math.max(2, n - (n % 2))
  if (w !== undefined && h !== undefined) return { width: down(w), height: down(h) }
  if (w !== undefined) return { width: down(w), height: even((w * height) / width) }
  if (h !== undefined) return { width: even((h * width) / height), height: down(h) }
  return { width: down(width), height: down(height) }
}

async function poster(settings: Settings, progress: Progress): Promise<string | null> {
  const frame = progress.poster
  if (settings.poster === null || !frame) return null
  try {
    return await writePoster(frame, settings.poster)
  } catch (error) {
    sayError(error)
    return null
  } finally {
    frame.close()
  }
}

function tell(settings: Settings, done: RecordReport): void {
  say(`${done.file}`)
  say(
    `  ${done.frames} frames, ${done.seconds.toFixed(2)} s, ${round(done.fps)} fps, ${done.width}×${done.height}, ${done.codec} by ${done.encoder}, ${size(done.bytes)}`,
  )
  say(
    `  speed ${done.speed}×, ${done.dropped} dropped, ${done.copiesPerFrame} copies per frame, zero-copy mode '${done.zeroCopyMode}'`,
  )
  const wanted = settings.poster?.path
  const taken = done.poster && done.poster !== wanted ? ` (${wanted} was there already)` : ''
  if (done.poster) say(`  a picture to look at: ${done.poster}${taken}`)
  process.stdout.write(settings.json ? `${JSON.stringify(done)}\n` : `${done.file}\n`)
}
