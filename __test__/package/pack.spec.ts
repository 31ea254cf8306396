// The package as it is published: packed, installed in an empty folder, used.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { runNode } from '../helpers/child.js'
import { root, scratch } from '../helpers/media.js'

interface Packed {
  filename: string
  size: number
  files: Array<{ path: string }>
}

const folder = scratch()
const npm = (args: readonly string[], cwd: string) =>
  String(execFileSync('npm', [...args, '--loglevel=error'], { cwd, stdio: ['ignore', 'pipe', 'pipe'] }))
const pack = (source: string) =>
  (
    JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], source)) as Packed[]
  )[0] as Packed

describe('the package, packed', () => {
  let main: Packed
  let native: Packed
  before(() => {
    main = pack(root)
    native = pack(join(root, 'npm', 'linux-x64-gnu'))
  })

  test('holds what is published, and nothing else', () => {
    const outside = main.files.map((f) => f.path).filter((path) => !path.startsWith('dist/'))
    assert.deepEqual(outside.sort(), [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'THIRD-PARTY.md',
      'examples/media/README.md',
      'examples/media/big-buck-bunny-720p.mp4',
      'index.d.ts',
      'package.json',
    ])
    const dist = main.files.map((f) => f.path).filter((path) => path.startsWith('dist/'))
    assert.ok(dist.includes('dist/index.js') && dist.includes('dist/cli/main.js'))
    assert.deepEqual(
      dist.filter((path) => !/\.js(\.map)?$/.test(path)),
      [],
    )
    assert.deepEqual(native.files.map((f) => f.path).sort(), [
      'LICENSE',
      'README.md',
      'beamline.linux-x64-gnu.node',
      'package.json',
    ])
  })

  test('brings its clip along, with the words of its licence, and stays small', () => {
    const attribution = readFileSync(join(root, 'examples', 'media', 'README.md'), 'utf8')
    assert.match(attribution, /big-buck-bunny-720p\.mp4.*\(c\) copyright 2008, Blender Foundation.*Attribution 3\.0/)
    assert.match(attribution, /creativecommons\.org\/licenses\/by\/3\.0/)
    assert.ok(main.size < 1_600_000, `${main.size} bytes`)
  })

  test('runs no script when it is installed, and depends on nothing', () => {
    for (const file of [join(root, 'package.json'), join(root, 'npm', 'linux-x64-gnu', 'package.json')]) {
      const { scripts = {}, dependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as Record<
        string,
        Record<string, string>
      >
      for (const name of ['preinstall', 'install', 'postinstall', 'prepare'])
        assert.equal(scripts[name], undefined, `${file}: ${name}`)
      assert.deepEqual(dependencies, {})
    }
  })

  test('installs without a network and gives pictures; its types are found', async () => {
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
    npm(['install', '--offline', '--no-audit', '--no-fund', `./${main.filename}`, `./${native.filename}`], folder)
    const script = join(folder, 'loop.mjs')
    writeFileSync(
      script,
      `import { openCapture } from 'beamline'
       let bytes = 0
       for await (const frame of await openCapture('pattern:smpte?width=64&height=64&live=false&frames=3')) {
         bytes += frame.planes[0].bytes.length
         frame.close()
       }
       console.log(bytes)`,
    )
    const ended = await runNode([script], { cwd: folder, env: { BEAMLINE_NATIVE_PATH: undefined } })
    assert.deepEqual([ended.code, ended.stdout.trim()], [0, String(3 * 64 * 64)], ended.stderr)
    const clip = `import { openInput } from 'beamline'
      const input = await openInput(import.meta.resolve('beamline/examples/media/big-buck-bunny-720p.mp4'))
      console.log(input.video.codedWidth)
      await input.close()`
    writeFileSync(script, clip)
    const found = await runNode([script], { cwd: folder, env: { BEAMLINE_NATIVE_PATH: undefined } })
    assert.deepEqual([found.code, found.stdout.trim()], [0, '1280'], found.stderr)
    const types = readFileSync(join(folder, 'node_modules', 'beamline', 'index.d.ts'), 'utf8')
    assert.match(types, /export declare class VideoFrame/)
  })
})
