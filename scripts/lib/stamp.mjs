// "Nothing changed" by content: times lie after a clone or a checkout, hashes do not.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fromRoot } from './paths.mjs'

const skipped = new Set(['target', 'node_modules', '.git'])

/** Every file under the paths, sorted, folders that only hold products left out. A path that is not there counts as empty. */
export function filesUnder(paths) {
  const found = []
  const visit = (path) => {
    if (!existsSync(path)) return
    if (statSync(path).isDirectory()) {
      for (const name of readdirSync(path)) if (!skipped.has(name)) visit(join(path, name))
    } else {
      found.push(path)
    }
  }
  for (const path of paths) visit(path)
  return found.sort()
}

/** Hash of the names and bytes of everything under `paths`, and of the given strings. */
export function contentHash(paths, extra = [], base = fromRoot()) {
  const hash = createHash('sha256')
  for (const file of filesUnder(paths)) {
    hash
      .update(`${relative(base, file)}\0`)
      .update(readFileSync(file))
      .update('\0')
  }
  for (const text of extra) hash.update(`${text}\0`)
  return hash.digest('hex')
}

const stampFile = (name) => fromRoot('build', 'stamps', name)

/** Whether the step `name` was last done for exactly this hash. */
export const isFresh = (name, hash) => existsSync(stampFile(name)) && readFileSync(stampFile(name), 'utf8') === hash

export function writeStamp(name, hash) {
  mkdirSync(dirname(stampFile(name)), { recursive: true })
  writeFileSync(stampFile(name), hash)
}

/** Called before a step works: what is half done must not look done. */
export const clearStamp = (name) => rmSync(stampFile(name), { force: true })
