import { show } from '../errors.js'
import { type AllowSharedBufferSource, bytesOf } from './video-frame.js'

/** W3C: whether decoding can begin at a chunk. */
export type EncodedChunkType = 'key' | 'delta'

/** W3C `EncodedVideoChunkInit` and `EncodedAudioChunkInit`. */
export interface EncodedChunkInit {
  /** Whether decoding can begin here. */
  type: EncodedChunkType
  /** When it is shown or heard, in µs. */
  timestamp: number
  /** How long, in µs. */
  duration?: number
  /** Its bytes, which are copied. */
  data: AllowSharedBufferSource
}

/** When a chunk is decoded, in µs, where a container told: W3C has no place for it. */
const decodeTimes = new WeakMap<EncodedChunk, number>()

abstract class EncodedChunk {
  /** Whether decoding can begin here. */
  readonly type: EncodedChunkType
  /** When it is shown or heard, in µs. */
  readonly timestamp: number
  /** How long, in µs; null when nobody has said. */
  readonly duration: number | null
  readonly #data: Uint8Array

  /** Copies the bytes. Throws a `TypeError` for what cannot be right. */
  constructor(init: EncodedChunkInit) {
    if (init?.type !== 'key' && init?.type !== 'delta') {
      throw new TypeError(`expected 'key' or 'delta' for 'type' but received ${show(init?.type)}`)
    }
    if (!Number.isSafeInteger(init.timestamp)) {
      throw new TypeError(
        `expected a whole number of microseconds for 'timestamp' but received ${show(init.timestamp)}`,
      )
    }
    this.type = init.type
    this.timestamp = init.timestamp
    this.duration = init.duration ?? null
    this.#data = owned.has(init.data) ? (init.data as Uint8Array) : bytesOf(init.data).slice()
  }

  /** How many bytes it has. */
  get byteLength(): number {
    return this.#data.byteLength
  }

  /** Copies its bytes. Throws a `TypeError` when `destination` is too small. */
  copyTo(destination: AllowSharedBufferSource): void {
    const into = bytesOf(destination)
    if (into.byteLength < this.byteLength) {
      throw new TypeError(`expected a destination of at least ${this.byteLength} bytes but received ${into.byteLength}`)
    }
    into.set(this.#data)
  }

  /** @internal The bytes themselves. */
  static bytesOf(chunk: EncodedChunk): Uint8Array {
    return chunk.#data
  }
}

/** Bytes that came from the native side for one chunk alone: they need not be copied. */
const owned = new WeakSet<object>()

/** W3C `EncodedVideoChunk`: one compressed picture. */
export class EncodedVideoChunk extends EncodedChunk {
  /** The class name, for `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'EncodedVideoChunk'
  }
}

/** W3C `EncodedAudioChunk`: one compressed block of sound. */
export class EncodedAudioChunk extends EncodedChunk {
  /** The class name, for `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'EncodedAudioChunk'
  }
}

/** What the native side hands over. */
interface Packet {
  data: Uint8Array
  timestamp: number
  decodeTime: number
  duration: number
  key: boolean
}

/** A chunk of a packet. */
export function chunkOf(packet: Packet, video: boolean): EncodedVideoChunk | EncodedAudioChunk {
  owned.add(packet.data)
  const init: EncodedChunkInit = {
    type: packet.key ? 'key' : 'delta',
    timestamp: Number.isNaN(packet.timestamp) ? 0 : packet.timestamp,
    data: packet.data,
  }
  if (!Number.isNaN(packet.duration)) init.duration = packet.duration
  const chunk = video ? new EncodedVideoChunk(init) : new EncodedAudioChunk(init)
  if (!Number.isNaN(packet.decodeTime)) decodeTimes.set(chunk, packet.decodeTime)
  return chunk
}

/** The parts of a chunk as the native side takes them. */
export function packetOf(chunk: EncodedVideoChunk | EncodedAudioChunk): Packet {
  if (!(chunk instanceof EncodedChunk)) {
    throw new TypeError(`expected an EncodedVideoChunk or an EncodedAudioChunk but received ${show(chunk)}`)
  }
  return {
    data: EncodedChunk.bytesOf(chunk),
    timestamp: chunk.timestamp,
    decodeTime: decodeTimes.get(chunk) ?? Number.NaN,
    duration: chunk.duration ?? Number.NaN,
    key: chunk.type === 'key',
  }
}
