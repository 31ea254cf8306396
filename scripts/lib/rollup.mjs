// The public contract: everything that src/index.ts exports, in one file with its comments.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bin } from './paths.mjs'

const header =
  '// The public contract of `beamline`. Rolled up from src/ by `npm run contract`; do not edit by hand.\n\n'

/** Text of index.d.ts as `src/` has it now; throws with the tool's words when it cannot be made. */
export function rollUp(root) {
  const work = mkdtempSync(join(root, 'build', 'contract-'))
  try {
    exec(root, bin('tsc'), [
      '-p',
      'tsconfig.json',
      '--emitDeclarationOnly',
      '--declarationDir',
      join(work, 'types'),
      '--incremental',
      'false',
    ])
    // The declarations are rolled up, not the sources: private members are gone and `@internal` is stripped.
    writeFileSync(
      join(work, 'tsconfig.json'),
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        include: ['types'],
        compilerOptions: { rootDir: 'types', noEmit: true },
      }),
    )
    const args = [
      '--silent',
      '--no-check',
      '--no-banner',
      '--export-referenced-types=false',
      '--project',
      join(work, 'tsconfig.json'),
    ]
    exec(root, bin('dts-bundle-generator'), [
      ...args,
      '-o',
      join(work, 'index.d.ts'),
      join(work, 'types', 'index.d.ts'),
    ])
    return header + readFileSync(join(work, 'index.d.ts'), 'utf8').replace(/\n{3,}/g, '\n\n')
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function exec(cwd, command, args) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 })
  if (result.status !== 0) throw new Error(`${result.stdout}${result.stderr}`.trim() || String(result.error))
}
