// Every JavaScript example of the README runs as pasted, in a folder where `beamline` is installed.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { runNode } from '../helpers/child.js'
import { clip, root, scratch } from '../helpers/media.js'

const blocks = [
  ...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```js\n(\/\/ (\S+\.mjs)[^\n]*\n[\s\S]*?)^```$/gm),
]
const folder = scratch()
mkdirSync(join(folder, 'node_modules'))
symlinkSync(root, join(folder, 'node_modules', 'beamline'))
// The examples name the clip as it lies in the checkout.
mkdirSync(join(folder, 'examples', 'media'), { recursive: true })
copyFileSync(clip, join(folder, 'examples', 'media', basename(clip)))

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
    const ended = await runNode([file], { cwd: folder, timeoutMs: 120_000 })
    assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr)
  })
}
