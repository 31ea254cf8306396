import { placeInDevelopment, warnOnce } from './media/frame-registry.js'

interface Kept {
  name: string
  place: string
  end(): void
}

/** Made at first use, which is in development. */
let collected: FinalizationRegistry<Kept> | undefined

/** The place that opens something, to be asked for before the first `await`; nothing outside development. */
export const placeOfOpening = placeInDevelopment

/**
 * In development (`BEAMLINE_DEV=1`), reports what holds a resource and was collected without `close()`, and ends it. `end` knows it by its
 * number only: what referred to `thing` would keep it.
 */
export function watchLeak(thing: object, name: string, place: string | undefined, end: () => void): void {
  if (place === undefined) return
  collected ??= new FinalizationRegistry((kept) => {
    warnOnce(`1 ${kept.name} was collected without close(); it came from`, kept.place, CLOSE)
    kept.end()
  })
  collected.register(thing, { name, place, end }, thing)
}

const CLOSE = 'call close(), or declare it with `await using`'

/** It is closed, or being closed. */
export function closedInTime(thing: object): void {
  collected?.unregister(thing)
}
