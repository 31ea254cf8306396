// What tests of shares have in common: names of their own, children that end well, pictures by their hash.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before } from 'node:test'
import { BeamlineError, type VideoFrame } from 'beamline'
import type { Ended } from './child.js'
import { scratch } from './media.js'
import { nothingIsHeld } from './memory.js'

/** Shares of this test file and its children have a folder of their own, which it gives; nothing is held when the tests are done. */
export function ownNames(): string {
  const folder = scratch()
  before(() => {
    process.env['BEAMLINE_SHARES'] = folder
  })
  after(() => nothingIsHeld())
  return folder
}

/** A child has ended by itself, and well. */
export const clean = (ended: Ended): void => assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr)

/** Whether an error is the one that is meant. */
export const is =
  (code: string, reason: string) =>
  (error: unknown): boolean =>
    error instanceof BeamlineError && error.code === code && error.reason === reason

/** Tells pictures apart by all of their bytes. */
export function sum(frame: VideoFrame): string {
  const hash = createHash('sha1')
  for (const { bytes } of frame.planes) hash.update(bytes)
  return hash.digest('hex')
}

/** Every value that the first row of a frame's planes has. */
export const greys = (frame: VideoFrame): Set<number> =>
  new Set(frame.planes.flatMap(({ bytes }) => [...bytes.subarray(0, frame.codedWidth)]))

/** A child that draws `count` pictures of 320×180, each of its own grey (its number); then it does `last` and tells its numbers. */
export const draws = (name: string, count: number, last: string): string => `
  import { createOutput, memory } from 'beamline'
  const out = await createOutput('shared:${name}')
  const video = out.addVideo({ width: 320, height: 180, frameRate: 50 })
  for (let n = 1; n <= ${count}; n++) {
    const frame = await video.frame({ timestamp: n * 20000 })
    for (const { bytes } of frame.planes) bytes.fill(n)
    await video.write(frame)
    frame.close()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  ${last}
  console.log(JSON.stringify({ ...out.stats(), live: memory.stats().live }))`
