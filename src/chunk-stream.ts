import { chunkOf, type EncodedAudioChunk, type EncodedVideoChunk } from './media/chunks.js'
import { engine } from './native/engine.js'
import { PullLoop, type PullSource } from './pull-loop.js'

/** How a stream of packets is opened and what is told of it. */
export interface ChunkSource extends Omit<PullSource<never>, 'take'> {
  /** Whether its packets are pictures. */
  video: boolean
}

/** The chunks of a native stream of packets, in the order of decoding. */
export class ChunkLoop<T extends EncodedVideoChunk | EncodedAudioChunk> extends PullLoop<T> {
  constructor(source: ChunkSource) {
    const take = (id: number) => {
      const packet = engine().native.takePacket(id)
      return packet ? (chunkOf(packet, source.video) as T) : undefined
    }
    super({ ...source, take })
  }
}
