// test:matrix is too long for every run; this tells when its result is older than the border or the codecs.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { contentHash } from '../lib/stamp.mjs'

/** What the matrix is about. */
const covered = ['arena', 'media', 'node', 'ffmpeg', 'codec', 'container'].map((name) => `crates/${name}`).concat('src')

export const matrixHash = (root) =>
  contentHash(
    covered.map((path) => join(root, path)),
    [],
    root,
  )

/** A line for people, or null when the committed result is of this very code. A notice, not a failure: a change must not wait for it. */
export function notice(root) {
  const path = join(root, 'matrix', 'RESULTS.md')
  if (!existsSync(path)) return 'NOTICE: matrix/RESULTS.md is missing: run `npm run test:matrix` and commit it.'
  const recorded = /^Content hash: `([0-9a-f]{64})`/m.exec(readFileSync(path, 'utf8'))?.[1]
  if (recorded === matrixHash(root)) return null
  return 'NOTICE: border or codec code has changed since the last test:matrix (matrix/RESULTS.md): run `npm run test:matrix` before a release.'
}
