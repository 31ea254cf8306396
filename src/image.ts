import { argumentError } from './errors.js'
import { VideoFrame } from './media/video-frame.js'
import { engine } from './native/engine.js'
import { checkOptions, checkSignal } from './options.js'

/** How a still is encoded. */
export interface EncodeImageOptions {
  /** Media type. Default: `image/png`. */
  type?: 'image/png' | 'image/jpeg'
  /** For JPEG: 0 (small) to 1 (good). Default: 0.92. */
  quality?: number
  /** Cancels it. */
  signal?: AbortSignal
}

/**
 * Encodes the visible part of a frame, turned as it is shown; gives the bytes of the file. Runs on another thread; the frame may be closed
 * right after the call.
 *
 * Rejects with `InvalidStateError` for a closed frame, `BeamlineError` `NotSupported` or `InvalidConfig`.
 */
export async function encodeImage(frame: VideoFrame, options: EncodeImageOptions = {}): Promise<Uint8Array> {
  checkOptions(options)
  const id = VideoFrame.numberOf(frame)
  if (id === 0) throw new DOMException('the VideoFrame is closed', 'InvalidStateError')
  const { type = 'image/png', quality = 0.92, signal } = options
  if (typeof type !== 'string') throw argumentError('type', "'image/png' or 'image/jpeg'", type)
  checkSignal(signal)
  if (!(quality >= 0 && quality <= 1)) throw argumentError('quality', 'a number from 0 to 1', quality)
  return engine().request<Uint8Array>((request) => engine().native.encodeImage(request, id, type, quality), { signal })
}
