import { engine } from './native/engine.js'
import { nativeInfo } from './native/formats.js'
import { zeroCopyMode, type ZeroCopyMode } from './native/zero-copy.js'

/** Numbers of this process's shared memory. */
export interface MemoryStats {
  /** Slots that exist now. */
  slots: number
  /** Slots in use now. */
  live: number
  /**
   * An upper bound of the slots that were in use at once: each class of sizes in each pool remembers its own highest mark, and this is
   * their sum, as if all had been reached at the same time.
   */
  highWater: number
  /** How often somebody had to wait for a slot, ever. */
  waits: number
  /** Bytes of all segments now. */
  bytes: number
  /** Passes over pictures outside codec libraries, ever. */
  copies: number
  /** How often a slot was taken, ever. */
  allocations: number
  /** Frames that JavaScript of this environment holds open now. */
  openFrames: number
  /** How often it was found, and undone, that JavaScript had stored into a frame that another process owns, ever. */
  strayWrites: number
  /** Tokens that nobody redeemed, ever. */
  expiredTokens: number
  /** Threads that work for this environment now. */
  threads: number
}

/** One row of the table of encoder defaults. */
export interface EncoderDefaults {
  /** Which mode it is for. */
  latencyMode: 'quality' | 'realtime'
  /** x264 preset. */
  preset: string
  /** x264 tune; null: none. */
  tune: string | null
  /** Rate factor when no bitrate is asked for. */
  crf: number
  /** Seconds from key picture to key picture, at most. */
  keyIntervalSeconds: number
  /** B-pictures in a row, at most; null: the preset's. */
  bFrames: number | null
}

/** What this build, this machine and this runtime can do. */
export interface Runtime {
  /** Version of Beamline. */
  readonly version: string
  /** The FFmpeg that is linked: `license` is what it says of itself at run time. */
  readonly ffmpeg: { readonly version: string; readonly license: string; readonly configuration: string }
  /** How JavaScript sees the memory of frames. Probed and tested at the first access. */
  readonly zeroCopyMode: ZeroCopyMode
  /** What can be encoded, written and held. */
  readonly features: {
    /** The H.264 encoder in use; null: none. */
    readonly h264Encoder: string | null
    /** Containers that can be written. */
    readonly containers: readonly string[]
    /** Pixel formats, by our slugs. */
    readonly pixelFormats: readonly string[]
  }
  /** Encoder defaults per `latencyMode`. */
  readonly encoderDefaults: readonly EncoderDefaults[]
}

/** What this build, this machine and this runtime can do. Nothing is loaded before the first access. */
export const runtime: Runtime = {
  get version() {
    return nativeInfo().version
  },
  get ffmpeg() {
    const { version, license, configuration } = nativeInfo().ffmpeg
    return { version, license, configuration }
  },
  get zeroCopyMode() {
    return zeroCopyMode()
  },
  get features() {
    const { h264Encoder, containers, pixelFormats } = nativeInfo()
    return { h264Encoder, containers, pixelFormats: pixelFormats.map((f) => f.slug) }
  },
  get encoderDefaults() {
    return nativeInfo().encoderDefaults
  },
}

/** Shared memory of this process. */
export const memory = {
  /** Its numbers now: a plain snapshot. */
  stats(): MemoryStats {
    return JSON.parse(engine().native.memoryStats()) as MemoryStats
  },
}
