// Every JavaScript example of the README runs as pasted, in a folder elsewhere in which `npm i` was told where Beamline lies.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runNode } from '../helpers/child.js'
import { root, scratch } from '../helpers/media.js'

const blocks = [
  ...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```js\n(\/\/ (\S+\.mjs)[^\n]*\n[\s\S]*?)^```$/gm),
]
const folder = scratch()
writeFileSync(join(folder, 'package.json'), '{ "private": true }')
execFileSync('npm', ['i', '--offline', '--no-audit', '--no-fund', '--loglevel=error', root], { cwd: folder })

test('README: has three examples or more, each shorter than 15 lines', () => {
  assert.ok(blocks.length >= 3, `${blocks.length} examples`)
  for (const [, code = '', name] of blocks) {
    const lines = code.trim().split('\n').length - 1
    assert.ok(lines < 15, `${name} has ${lines} lines`)
  }
})

for (const [, code = '', name = ''] of blocks) {
  test(`README: ${name} runs as pasted`, async () => {
    const file = join(folder, name)
    writeFileSync(file, code)
    const ended = await runNode([file], {
      cwd: folder,
      env: { BEAMLINE_SHARES: join(folder, 'shares') },
      timeoutMs: 120_000,
    })
    assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr)
  })
}
