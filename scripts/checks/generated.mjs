// Committed generated files: the binding's types are what the build writes.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const title = 'src/native/binding.d.ts is what the native build writes'

export function check(root) {
  const [committed, built] = ['src/native/binding.d.ts', 'build/native/binding.d.ts'].map((path) => join(root, path))
  if (!existsSync(built)) return ['build/native/binding.d.ts is missing: run `npm run build`']
  if (!existsSync(committed)) return ['src/native/binding.d.ts is missing: run `npm run build` and commit it']
  if (readFileSync(committed, 'utf8') === readFileSync(built, 'utf8')) return []
  return ['src/native/binding.d.ts differs from what the build writes: run `npm run build` and commit it']
}
