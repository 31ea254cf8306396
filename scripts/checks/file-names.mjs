// A name can be guessed: snake_case.rs as Rust's modules are, kebab-case for everything that is JavaScript or TypeScript.
import { join, relative, basename } from 'node:path'
import { filesUnder } from '../lib/stamp.mjs'

export const title = 'files are named snake_case.rs and kebab-case.ts'

const rules = [
  { ending: '.rs', stem: /^[a-z0-9]+(_[a-z0-9]+)*$/, form: 'snake_case.rs' },
  ...['.d.ts', '.spec.ts', '.test-d.ts', '.test.mjs', '.ts', '.mjs'].map((ending) => ({
    ending,
    stem: /^[a-z0-9]+(-[a-z0-9]+)*$/,
    form: `kebab-case${ending}`,
  })),
]
const folders = ['crates', 'src', '__test__', 'benches', 'examples', 'fuzz/fuzz_targets', 'scripts']

/** No crate of ours is called after what it has left over. */
const emptyWords = new Set(['utils', 'util', 'common', 'helpers', 'misc'])

export function check(root) {
  return filesUnder(folders.map((name) => join(root, name))).flatMap((file) => {
    const path = relative(root, file)
    const rule = rules.find(({ ending }) => path.endsWith(ending))
    if (!rule) return []
    const stem = basename(path).slice(0, -rule.ending.length)
    if (!rule.stem.test(stem)) return [`${path}: expected ${rule.form}`]
    return emptyWords.has(stem) ? [`${path}: “${stem}” says nothing; name what it does`] : []
  })
}
