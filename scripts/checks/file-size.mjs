// One file is read in one sitting: at most 600 lines of Rust or TypeScript, inline tests not counted.
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { linesWithoutTests } from '../lib/rust-source.mjs'
import { filesUnder } from '../lib/stamp.mjs'

export const title = 'no file is longer than 600 lines'

const limit = 600
const folders = ['crates', 'src', '__test__', 'benches', 'examples', 'fuzz', 'scripts']

/** Path → why this file may be longer. */
const exceptions = {
  'src/native/binding.d.ts': 'generated',
}

export function check(root) {
  return filesUnder(folders.map((name) => join(root, name))).flatMap((file) => {
    const path = relative(root, file)
    if (!/\.(rs|ts|mjs)$/.test(path) || path in exceptions) return []
    const source = readFileSync(file, 'utf8')
    const lines = path.endsWith('.rs') ? linesWithoutTests(source) : source.trimEnd().split('\n').length
    return lines > limit
      ? [
          `${path}: ${lines} lines, at most ${limit}: split it, or add it to scripts/checks/file-size.mjs with the reason`,
        ]
      : []
  })
}
