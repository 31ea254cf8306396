// What is measured of shared memory.
import assert from 'node:assert/strict'
import { memory, runtime } from 'beamline'

/** Waits until `ready`, one turn of the event loop at a time; fails with `what` after `ms`. */
export async function until(ready: () => boolean, what: string, ms = 10_000): Promise<void> {
  const end = performance.now() + ms
  while (!ready()) {
    if (performance.now() > end) assert.fail(`within ${ms} ms there was never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Nothing of ours is left in shared memory: what is freed by finalizers or other threads has a moment. */
export async function nothingIsHeld(): Promise<void> {
  await until(() => memory.stats().live === 0, `no live slot (${JSON.stringify(memory.stats())})`).catch(
    () => undefined,
  )
  const { live, openFrames } = memory.stats()
  assert.deepEqual({ live, openFrames }, { live: 0, openFrames: 0 })
}

/** The mode that this run was asked for; `external` is what Node's standard build gives. */
export const expectedMode = process.env['BEAMLINE_ZERO_COPY'] || 'external'

/** Says so when the run is not in the mode that it was asked for. */
export function assertMode(): void {
  assert.equal(runtime.zeroCopyMode, expectedMode)
}

/** Copies that `run` made, as `memory.stats()` counts them. */
export async function copiesOf(run: () => unknown): Promise<number> {
  const before = memory.stats().copies
  await run()
  return memory.stats().copies - before
}

/** A copy that the first look at `planes` costs in mode `copy`; none in the others. */
export const copyOfLook = expectedMode === 'copy' ? 1 : 0
