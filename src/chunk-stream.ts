import { streamError } from './frame-stream.js'
import { chunkOf, type EncodedAudioChunk, type EncodedVideoChunk } from './media/chunks.js'
import { engine } from './native/engine.js'

const EMPTY = -1
const FAILED = -4

/** The chunks of a native stream of packets, in the order of decoding. */
export async function* chunks<T extends EncodedVideoChunk | EncodedAudioChunk>(
  open: () => number,
  video: boolean,
  closed: () => boolean,
  signal?: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  signal?.throwIfAborted()
  const it = engine()
  const id = open()
  try {
    for (;;) {
      const packet = it.native.takePacket(id)
      if (packet) {
        yield chunkOf(packet, video) as T
        signal?.throwIfAborted()
        continue
      }
      const state = it.native.streamState(id)
      if (state === EMPTY) await ready(id, signal)
      else if (state === FAILED && !closed()) throw streamError(it, id)
      else return
    }
  } finally {
    it.native.closeStream(id)
  }
}

function ready(id: number, signal?: AbortSignal): Promise<void> {
  const it = engine()
  return new Promise((resolve, reject) => {
    const end = () => {
      signal?.removeEventListener('abort', abort)
      it.offReady(id)
      it.release()
    }
    const abort = () => {
      end()
      reject(signal?.reason)
    }
    it.hold()
    signal?.addEventListener('abort', abort, { once: true })
    it.onReady(id, () => {
      end()
      resolve()
    })
  })
}
