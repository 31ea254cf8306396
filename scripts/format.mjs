// `npm run format`: prettier for TypeScript, scripts and JSON, rustfmt for the workspace.
import { attached } from './lib/run.mjs'
import { bin } from './lib/paths.mjs'
import { patterns } from './checks/prettier.mjs'

const codes = [
  await attached(bin('prettier'), ['--write', '--log-level', 'warn', ...patterns]),
  await attached('cargo', ['fmt', '--all']),
]
process.exitCode = Math.max(...codes)
