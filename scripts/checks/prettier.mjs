// TypeScript, scripts and JSON look the same whoever wrote them. `npm run format` mends.
import { spawnSync } from 'node:child_process'
import { bin } from '../lib/paths.mjs'

export const title = 'formatted by prettier (npm run format mends)'

export const patterns = ['**/*.{ts,mjs,json}']

export function check(root) {
  const result = spawnSync(
    bin('prettier'),
    ['--check', '--no-error-on-unmatched-pattern', '--log-level', 'warn', ...patterns],
    {
      cwd: root,
      encoding: 'utf8',
    },
  )
  if (result.status === 0) return []
  const files = [...`${result.stdout}${result.stderr}`.matchAll(/^\[(?:warn|error)\] (?!Code style)(.+)$/gm)].map(
    (match) => match[1],
  )
  return files.length > 0 ? files : [result.stderr || result.error?.message || 'prettier failed']
}
