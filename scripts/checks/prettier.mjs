// TypeScript, scripts and JSON look the same whoever wrote them. `npm run format` mends.
import { spawnSync } from 'node:child_process'
import { bin } from '../lib/paths.mjs'

export const title = 'formatted by prettier (npm run format mends)'

export const patterns = ['**/*.{ts,mjs,json}']

export function check(root) {
  const args = ['--list-different', '--no-color', '--no-error-on-unmatched-pattern', '--log-level', 'log', ...patterns]
  const result = spawnSync(bin('prettier'), args, { cwd: root, encoding: 'utf8' })
  if (result.status === 0) return []
  const found = `${result.stdout}${result.stderr}`.split('\n').filter(Boolean)
  return found.length > 0 ? found : [result.error?.message ?? 'prettier failed']
}
