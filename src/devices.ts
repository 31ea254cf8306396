import { engine, unwrap } from './native/engine.js'
import { checkOneOf, checkOptions, checkSignal } from './options.js'
import { PullLoop } from './pull-loop.js'
import type { FrameRate } from './rate.js'

/** A kind of device. Cameras and network streams come with later versions. */
export type DeviceKind = 'pattern' | 'image' | 'camera' | 'network' | 'shared'

/** @internal All kinds. */
export const DEVICE_KINDS: readonly DeviceKind[] = ['pattern', 'image', 'camera', 'network', 'shared']

/** A form in which a device gives its pictures: any size and rate between the two. */
export interface FormatOffer {
  /** Our name of raw pixels; null when packets come, or it is not known yet. */
  readonly pixelFormat: string | null
  /** Family of the packets (`mjpeg`, `h264`); null when raw pixels come. */
  readonly encoded: string | null
  /** The smallest picture, in pixels. */
  readonly minSize: { readonly width: number; readonly height: number }
  /** The largest picture, in pixels: equal to the smallest for a fixed size. */
  readonly maxSize: { readonly width: number; readonly height: number }
  /** Pictures per second, slowest. */
  readonly minFrameRate: FrameRate
  /** Pictures per second, fastest. */
  readonly maxFrameRate: FrameRate
}

/** A device, as `listDevices` sees it. */
export interface Device {
  /** Opens it: `openCapture({ device: id })`. Stays the same when the device is plugged in again. */
  readonly id: string
  /** What it is. */
  readonly kind: DeviceKind
  /** Its name for people. */
  readonly name: string
  /** Where it is plugged in; null when nowhere. */
  readonly bus: string | null
  /** What it offers; nothing as long as nobody knows how large: of a share before its first frame. */
  readonly formats: readonly FormatOffer[]
}

/** The devices that can be opened now: a plain snapshot. `kind`: only those. */
export async function listDevices(options: { kind?: DeviceKind; signal?: AbortSignal } = {}): Promise<Device[]> {
  checkOptions(options)
  checkSignal(options.signal)
  checkOneOf('kind', options.kind, DEVICE_KINDS)
  const devices = await engine().request<Device[]>((request) => engine().native.listDevices(request), {
    signal: options.signal,
  })
  return options.kind ? devices.filter((d) => d.kind === options.kind) : devices
}

/** What has become of a device. */
export interface DeviceChange {
  /** `added`: it can be opened now; `changed`: it offers something else; `removed`: it is gone. */
  readonly type: 'added' | 'changed' | 'removed'
  /** The device as it is now, or was last. */
  readonly device: Device
}

/** Watches that were dropped without `return()`; made at first use. */
let dropped: FinalizationRegistry<{ readonly id: number }> | undefined

/**
 * What can be opened, as it comes and goes: first every device that is there, as `added`, then each change, as the system tells it. It goes
 * on until `break`, `return()` or `signal`; a script that awaits it stays alive, one that has dropped it ends. `kind`: only those.
 *
 * Up to 64 changes wait for a loop that is busy, then the watch does (`block`): none is lost, but what comes and goes meanwhile is told as it
 * is by then. Of shares, those in the user's runtime directory are seen: an owner that is killed is told as `removed`.
 *
 * Rejects with `BeamlineError` when the system cannot tell (any more).
 */
export function watchDevices(
  options: { kind?: DeviceKind; signal?: AbortSignal } = {},
): AsyncIterableIterator<DeviceChange> {
  checkOptions(options)
  const { kind, signal } = options
  checkSignal(signal)
  checkOneOf('kind', kind, DEVICE_KINDS)
  // Apart from the loop, which it must not keep.
  const stream = { id: 0 }
  const loop = new PullLoop<DeviceChange>({
    open: () => (stream.id = unwrap(engine().native.watchDevices(kind))),
    take: (id) => {
      const change = engine().native.takeChange(id)
      return change ? (JSON.parse(change) as DeviceChange) : undefined
    },
    signal,
    closed: () => false,
    loops: new Set(),
  })
  dropped ??= new FinalizationRegistry(({ id }) => engine().native.closeStream(id))
  dropped.register(loop, stream)
  return loop
}
