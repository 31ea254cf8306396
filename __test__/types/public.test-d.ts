// What must compile, and what must not.
import {
  type BeamlineError,
  type Capture,
  createOutput,
  type ErrorCode,
  type FrameStream,
  openCapture,
  openInput,
  runtime,
  type SharedOutput,
  VideoFrame,
  type VideoFrameBufferInit,
  type VideoPixelFormat,
  type ZeroCopyMode,
} from 'beamline'

/** Members of W3C's VideoFrame, as its text has them. */
interface W3cVideoFrame {
  readonly format: VideoPixelFormat | null
  readonly codedWidth: number
  readonly codedHeight: number
  readonly codedRect: { readonly x: number; readonly y: number; readonly width: number; readonly height: number } | null
  readonly visibleRect: {
    readonly x: number
    readonly y: number
    readonly width: number
    readonly height: number
  } | null
  readonly rotation: number
  readonly flip: boolean
  readonly displayWidth: number
  readonly displayHeight: number
  readonly duration: number | null
  readonly timestamp: number
  readonly colorSpace: {
    readonly primaries: string | null
    readonly transfer: string | null
    readonly matrix: string | null
    readonly fullRange: boolean | null
    toJSON(): unknown
  }
  allocationSize(options?: {
    rect?: { x: number; y: number; width: number; height: number }
    layout?: { offset: number; stride: number }[]
  }): number
  copyTo(
    destination: ArrayBuffer | SharedArrayBuffer | ArrayBufferView,
    options?: { format?: VideoPixelFormat },
  ): Promise<{ offset: number; stride: number }[]>
  clone(): W3cVideoFrame
  close(): void
}

declare const frame: VideoFrame
declare const capture: Capture
const w3c: W3cVideoFrame = frame
const disposable: Disposable = frame
const source: AsyncIterable<VideoFrame> = capture
const asyncDisposable: AsyncDisposable = capture
const events: EventTarget = capture
const stream: ReadableStream<VideoFrame> = capture.readable
const loop: FrameStream = capture.frames({ queue: 2, policy: 'drop-oldest', signal: new AbortController().signal })
const mode: ZeroCopyMode = runtime.zeroCopyMode
void [w3c, disposable, source, asyncDisposable, events, stream, loop, mode]

const init: VideoFrameBufferInit = { format: 'NV12', codedWidth: 2, codedHeight: 2, timestamp: 0 }
new VideoFrame(new Uint8Array(6), init)
new VideoFrame(new SharedArrayBuffer(6), { ...init, format: 'yuyv' })
new VideoFrame(frame, { timestamp: 1 })
new VideoFrame(frame)
// @ts-expect-error: bytes need an init
new VideoFrame(new Uint8Array(6))
// @ts-expect-error: a timestamp is needed
new VideoFrame(new Uint8Array(6), { format: 'NV12', codedWidth: 2, codedHeight: 2 })
// @ts-expect-error: no such format
new VideoFrame(new Uint8Array(6), { ...init, format: 'RGB565' })
// @ts-expect-error: planes are not to be replaced
frame.planes = []
// @ts-expect-error: nor added to
frame.planes.push()
// @ts-expect-error: the format is what it is
frame.format = 'I420'
// @ts-expect-error: the native handle is nobody's business
void frame.id

async function use(error: BeamlineError) {
  await openCapture('pattern:smpte', { width: 640, frameRate: { num: 30, den: 1 }, policy: 'latest' })
  await openCapture({ device: 'pattern:smpte', live: false })
  // @ts-expect-error: no such policy
  await openCapture('pattern:smpte', { policy: 'newest' })
  // @ts-expect-error: a device is needed
  await openCapture()
  const input = await openInput({ size: 3, read: () => new Uint8Array(3) })
  // @ts-expect-error: there may be no pictures
  input.video.frames()
  for await (const one of input.video?.frames({ from: 0, to: 1, pace: 'realtime' }) ?? []) one.close()
  for await (const chunk of input.audio?.chunks() ?? []) void chunk.byteLength
  for (const track of input.tracks) if (track.type === 'video') void track.codedWidth
  // @ts-expect-error: no such pace
  input.video?.frames({ pace: 'slow' })
  const output = await createOutput({ write: () => undefined, seek: () => undefined }, { container: 'mov' })
  const video = output.addVideo({ codec: 'h264', latencyMode: 'realtime' })
  const done: Promise<void> = video.write(frame)
  // @ts-expect-error: a codec is needed
  output.addVideo({ width: 2 })
  // @ts-expect-error: no such container
  await createOutput('a.avi', { container: 'avi' })
  const shared: SharedOutput = await createOutput('shared:name', { clients: 4 })
  const drawn: VideoFrame = await shared.addVideo({ width: 2, height: 2 }).frame({ timestamp: 0, duration: null })
  // @ts-expect-error: nothing is encoded
  shared.addVideo({ codec: 'h264' })
  if (input.audio) output.addAudio(input.audio.decoderConfig)
  // @ts-expect-error: sound is no picture
  if (input.audio) output.addVideoChunks(input.audio.decoderConfig)
  const code: ErrorCode = error.code
  // @ts-expect-error: no such code
  const wrong: ErrorCode = 'Oops'
  void [done, code, wrong, drawn]
}
void use
