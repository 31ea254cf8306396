import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Capture, listDevices, openCapture, type OpenCaptureOptions } from '../capture.js'
import { BeamlineError } from '../errors.js'
import type { QueuePolicy } from '../frame-stream.js'
import { type Input, openInput } from '../input.js'
import { VideoFrame } from '../media/video-frame.js'
import type { Output } from '../output.js'
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
    await countdown(wanted.signal)
    return source
  }
  const why = ci ? 'this is CI, where a camera is never taken' : 'no camera was found'
  if (existsSync(CLIP)) {
    const input = await openInput(CLIP, { signal: wanted.signal })
    return filed(input, `the clip that ships with Beamline (${why})`, wanted)
  }
  const capture = await openCapture('pattern:smpte', captureOptions(wanted))
  return captured(capture, `a test picture (${why}, and the clip is not installed)`, wanted)
}

async function countdown(signal: AbortSignal): Promise<void> {
  for (let left = COUNTDOWN; left > 0; left--) {
    say(`  recording in ${left} …`)
    await sleep(1000, undefined, { signal })
  }
}

async function openNamed(name: string, wanted: Wanted): Promise<RecordSource> {
  try {
    return captured(await openCapture(name, captureOptions(wanted)), `'${name}', as you asked`, wanted)
  } catch (error) {
    const file = error instanceof BeamlineError && (error.reason === 'video-file' || existsSync(name))
    if (!file) throw error
    return filed(await openInput(name, { signal: wanted.signal }), `the file '${name}', as you asked`, wanted)
  }
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
    frames: () => until(capture, durationUs),
    sound: () => 'no sound: this source has none',
    dropped: () => {
      const { lost, dropped } = capture.stats()
      return lost + dropped
    },
    close: () => capture.close(),
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

function filed(input: Input, what: string, wanted: Wanted): RecordSource {
  const { video, audio } = input
  if (!video) {
    void input.close()
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
  const thin = frameRate !== undefined && (video.frameRate === null || frameRate < video.frameRate)
  return {
    why: `recording ${what}: ${video.codedWidth}×${video.codedHeight}${video.frameRate ? ` at ${round(video.frameRate)} fps` : ''}, ${video.codec}`,
    frameRate: thin ? frameRate : video.frameRate,
    scale: { width, height },
    frames: () => (thin ? thinned(stream, frameRate) : stream),
    sound(output) {
      if (!audio) return 'no sound: the file has none'
      if (!/^(mp4a|mp3)/.test(audio.codec)) return `no sound: ${audio.codec} cannot be put into this file as it is`
      // An interrupted recording ends its sound with its pictures.
      output.copy(audio, { to: start + durationUs, shortest: true })
      return `sound copied as it is (${audio.codec}, ${audio.sampleRate} Hz, ${audio.numberOfChannels} channels)`
    },
    dropped: () => stream.stats().dropped,
    close: () => input.close(),
  }
}

/** Leaves out the frames that come before the next one of a slower rate is due. */
async function* thinned(frames: AsyncIterable<VideoFrame>, rate: number): AsyncGenerator<VideoFrame> {
  const step = 1e6 / rate
  let first: number | undefined
  let taken = 0
  for await (const frame of frames) {
    first ??= frame.timestamp
    // Half a microsecond of grace: timestamps are whole microseconds.
    if (frame.timestamp - first < taken * step - 0.5) {
      frame.close()
      continue
    }
    taken++
    const longer = new VideoFrame(frame, { duration: Math.round(step) })
    frame.close()
    yield longer
  }
}

/** A rate as people read it. */
export function round(rate: number): string {
  return String(Math.round(rate * 100) / 100)
}
