import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Capture, openCapture, type OpenCaptureOptions } from '../capture.js'
import { listDevices } from '../devices.js'
import { BeamlineError } from '../errors.js'
import type { QueuePolicy } from '../frame-stream.js'
import { type Input, openInput } from '../input.js'
import { VideoFrame } from '../media/video-frame.js'
import type { Output } from '../output.js'
import { rateOf } from '../rate.js'
import { say } from './people.js'

/** The clip of real video that ships with Beamline. */
const CLIP = fileURLToPath(new URL('../../examples/media/big-buck-bunny-720p.mp4', import.meta.url))
/** Seconds to get ready in front of a camera. */
const COUNTDOWN = 3

/** What is wanted of a source. */
export interface Wanted {
  durationUs: number
  width?: number | undefined
  height?: number | undefined
  frameRate?: number | undefined
  policy?: QueuePolicy | undefined
  fast: boolean
  signal: AbortSignal
}

/** Something to record: pictures, perhaps sound, and its numbers. */
export interface RecordSource {
  /** What is recorded, and why, in a sentence. */
  readonly why: string
  /** Pictures per second, when known. */
  readonly frameRate: number | null
  /** Size that the encoder must scale to, where the source itself could not be asked for it. */
  readonly scale: { width?: number | undefined; height?: number | undefined }
  frames(): AsyncIterable<VideoFrame>
  /** Adds the sound to the output; says what it did. */
  sound(output: Output): string
  /** Pictures lost on the way. */
  dropped(): number
  close(): Promise<void>
}

/** A source that was opened, and failed later: `cause` says how. */
export class SourceError extends Error {
  constructor(cause: unknown) {
    super('the source failed', { cause })
  }
}

/** Opens what the command line names, or the best that there is. */
export async function openSource(name: string | undefined, wanted: Wanted): Promise<RecordSource> {
  if (name !== undefined) return openNamed(name, wanted)
  const ci = Boolean(process.env['CI'])
  const [camera] = ci ? [] : await listDevices({ kind: 'camera' })
  if (camera) {
    const source = captured(
      await openCapture({ ...captureOptions(wanted), device: camera }),
      `the camera '${camera.name}'`,
      wanted,
    )
    return ready(source, wanted.signal)
  }
  const why = ci ? 'this is CI, where a camera is never taken' : 'no camera was found'
  if (existsSync(CLIP)) {
    const input = await openInput(CLIP, { signal: wanted.signal })
    return filed(input, { what: 'the clip that ships with Beamline', why: ` (${why})` }, wanted)
  }
  const capture = await openCapture('pattern:smpte', captureOptions(wanted))
  return captured(capture, `a test picture (${why}, and the clip is not installed)`, wanted)
}

/** Gives people in front of a camera time; a source that is not to be recorded after all is closed. */
export async function ready<T extends { close(): Promise<void> }>(source: T, signal: AbortSignal): Promise<T> {
  try {
    for (let left = COUNTDOWN; left > 0; left--) {
      say(`  recording in ${left} …`)
      await sleep(1000, undefined, { signal })
    }
    return source
  } catch (error) {
    await source.close()
    throw error
  }
}

async function openNamed(name: string, wanted: Wanted): Promise<RecordSource> {
  const what = `'${name}', as you asked`
  const file = { what: `the file '${name}'`, why: ', as you asked' }
  try {
    if (!isPictures(name)) return captured(await openCapture(name, captureOptions(wanted)), what, wanted)
  } catch (error) {
    if (!isInput(name, error)) throw error
    const input = await openInput(name, { signal: wanted.signal })
    if (input.incomplete === null) return filed(input, file, wanted)
    // The pictures say in the end what is missing; the sound then ends quietly, for the output to be completed with what came.
    return filed(input, file, wanted, await openInput(name, { signal: wanted.signal, recover: true }))
  }
  return pictured(name, what, wanted)
}

/** Files that are captures: pictures without a container. */
function isPictures(name: string): boolean {
  return /^raw:|\.(y4m|png|jpe?g)$/i.test(withoutQuery(name))
}

/** The file that a source is read from; `undefined` for what is named like no file: a pattern, a device, a row of pictures. */
export function fileOf(name: string): string | undefined {
  return [name, withoutQuery(name.replace(/^raw:/, ''))].find((path) => existsSync(path))
}

function withoutQuery(name: string): string {
  return name.replace(/\?[^?]*$/, '')
}

/** Whether what is no capture is to be tried as a media file. */
function isInput(name: string, error: unknown): boolean {
  if (!(error instanceof BeamlineError)) return false
  return error.reason === 'video-file' || (error.reason === 'unknown-device' && existsSync(name))
}

/** Pictures in files have the size that they have: the encoder scales. Those of a Y4M have a rate, too; the others come at any. */
async function pictured(name: string, what: string, wanted: Wanted): Promise<RecordSource> {
  const { width, height, frameRate, ...rest } = wanted
  if (!/\.y4m$/i.test(withoutQuery(name))) {
    const capture = await openCapture(name, captureOptions({ ...rest, frameRate }))
    return { ...captured(capture, what, wanted), scale: { width, height } }
  }
  const capture = await openCapture(name, captureOptions(rest))
  const source = captured(capture, what, wanted)
  return { ...source, ...atRate(source.frames(), source.frameRate, frameRate), scale: { width, height } }
}

function captureOptions({ width, height, frameRate, policy, fast, signal }: Wanted): OpenCaptureOptions {
  return {
    signal,
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
    ...(frameRate === undefined ? {} : { frameRate }),
    ...(policy === undefined ? {} : { policy }),
    ...(fast ? { live: false } : {}),
  }
}

function captured(capture: Capture, what: string, { durationUs }: Wanted): RecordSource {
  const { width, height, frameRate } = capture.format
  return {
    why: `recording ${what}: ${width}×${height}${frameRate ? ` at ${round(frameRate)} fps` : ''}`,
    frameRate,
    scale: {},
    frames: () => heard(until(capture, durationUs)),
    sound: () => 'no sound: this source has none',
    dropped: () => {
      const { lost, dropped } = capture.stats()
      return lost + dropped
    },
    close: () => capture.close(),
  }
}

/** The frames, an error among them marked as the source's own. */
async function* heard(frames: AsyncIterable<VideoFrame>): AsyncGenerator<VideoFrame> {
  try {
    yield* frames
  } catch (error) {
    throw new SourceError(error)
  }
}

/** The frames of the first so many microseconds from the first frame on. */
async function* until(frames: AsyncIterable<VideoFrame>, durationUs: number): AsyncGenerator<VideoFrame> {
  let first: number | undefined
  for await (const frame of frames) {
    first ??= frame.timestamp
    if (frame.timestamp - first >= durationUs) {
      frame.close()
      return
    }
    yield frame
  }
}

/** A file: what it is called, and, to be said behind that, why it is taken. */
interface Named {
  what: string
  why: string
}

function filed(input: Input, { what, why }: Named, wanted: Wanted, heardFrom = input): RecordSource {
  const { video } = input
  const { audio } = heardFrom
  const close = async () => void (await Promise.all([input.close(), heardFrom.close()]))
  if (!video) {
    void close()
    throw new BeamlineError(`expected a file with pictures but ${what} has none`, { code: 'Data', reason: 'no-video' })
  }
  const { durationUs, policy, fast, signal, width, height, frameRate } = wanted
  const start = video.start ?? 0
  const stream = video.frames({
    to: start + durationUs,
    pace: fast ? 'fast' : 'realtime',
    signal,
    ...(policy === undefined ? {} : { policy }),
  })
  // Where nobody here knows the codec, nobody knows the size.
  const known = video.codedWidth > 0 ? `${video.codedWidth}×${video.codedHeight}` : 'unknown size'
  return {
    why: `recording ${what}${why}: ${known}${video.frameRate ? ` at ${round(video.frameRate)} fps` : ''}, ${video.codec}`,
    ...atRate(heard(stream), video.frameRate, frameRate),
    scale: { width, height },
    sound(output) {
      if (!audio) return 'no sound: the file has none'
      if (!/^(mp4a|mp3)/.test(audio.codec)) return `no sound: ${audio.codec} cannot be put into this file as it is`
      // An interrupted recording ends its sound with its pictures.
      output.copy(audio, { to: start + durationUs, shortest: true })
      return `sound copied as it is (${audio.codec}, ${audio.sampleRate} Hz, ${audio.numberOfChannels} channels)`
    },
    dropped: () => stream.stats().dropped,
    close,
  }
}

/** The frames of a file at the rate that is asked for, where that is another one than its own. */
function atRate(
  frames: AsyncIterable<VideoFrame>,
  own: number | null,
  asked: number | undefined,
): Pick<RecordSource, 'frameRate' | 'frames'> {
  if (asked === undefined || (own !== null && Math.abs(asked - own) < 1e-3))
    return { frameRate: own, frames: () => frames }
  return { frameRate: asked, frames: () => steady(frames, asked) }
}

/** At each tick of a steady rate the newest frame: frames are left out or repeated, neither copied nor shown too early. */
export async function* steady(frames: AsyncIterable<VideoFrame>, frameRate: number): AsyncGenerator<VideoFrame> {
  const { num, den } = rateOf('frameRate', frameRate)
  const step = (1e6 * den) / num
  let [first, end, tick] = [Number.NaN, 0, 0]
  let newest: VideoFrame | undefined
  const shown = (frame: VideoFrame) => {
    const timestamp = first + Math.round(tick * step)
    return new VideoFrame(frame, { timestamp, duration: first + Math.round(++tick * step) - timestamp })
  }
  // A tenth of a step of grace: files round their times.
  const due = (time: number) => Math.ceil((time - first) / step - 0.1)
  try {
    for await (const frame of frames) {
      if (Number.isNaN(first)) first = frame.timestamp
      while (newest && tick < due(frame.timestamp)) yield shown(newest)
      newest?.close()
      newest = frame
      end = frame.timestamp + (frame.duration ?? step)
    }
    while (newest && tick < Math.max(1, due(end))) yield shown(newest)
  } finally {
    newest?.close()
  }
}

/** A rate as people read it. */
export function round(rate: number): string {
  return String(Math.round(rate * 100) / 100)
}
