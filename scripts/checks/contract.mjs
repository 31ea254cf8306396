// index.d.ts is the promise to users: it changes only when somebody commits the change, and src keeps it.
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rollUp } from '../lib/rollup.mjs'

export const title = 'index.d.ts is what src/ rolls up to (npm run contract writes it)'

export function check(root) {
  const path = join(root, 'index.d.ts')
  if (!existsSync(path)) return ['index.d.ts is missing: run `npm run contract` and commit it']
  mkdirSync(join(root, 'build'), { recursive: true })
  let rolled
  try {
    rolled = rollUp(root)
  } catch (error) {
    return [error.message]
  }
  const [want, have] = [rolled.split('\n'), readFileSync(path, 'utf8').split('\n')]
  const line = want.findIndex((text, index) => text !== have[index])
  if (line === -1 && want.length === have.length) return []
  const at = line === -1 ? want.length : line
  return [
    `index.d.ts:${at + 1} differs from src/. Run \`npm run contract\`, read the difference, commit it.\n` +
      `    committed: ${have[at] ?? '(end)'}\n    src/ says: ${want[at] ?? '(end)'}`,
  ]
}
