// Each check is shown to fail when its rule is broken, and to be quiet when it is kept. Fixtures are made in a temporary folder.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fromRoot } from '../lib/paths.mjs'
import { check as arrows } from './arrows.mjs'
import { check as contractDocs } from './contract-docs.mjs'
import { check as contract } from './contract.mjs'
import { check as fileNames } from './file-names.mjs'
import { check as fileSize } from './file-size.mjs'
import { check as generated } from './generated.mjs'
import { matrixHash, notice } from './matrix-hash.mjs'
import { check as prettier } from './prettier.mjs'
import { check as publint } from './publint.mjs'
import { check as unsafe } from './unsafe.mjs'

/** Makes a folder of files, hands it over, removes it. `within`: below the checkout's build/, where node_modules is found. */
async function withFiles(files, use, within = tmpdir()) {
  mkdirSync(within, { recursive: true })
  const root = mkdtempSync(join(within, 'beamline-check-'))
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
    }
    return await use(root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

const problems = (check, files, within) => withFiles(files, check, within)

function workspace(crates) {
  const files = { 'Cargo.toml': '[workspace]\nresolver = "3"\nmembers = ["crates/*"]\n' }
  for (const [name, dependencies] of Object.entries(crates)) {
    files[`crates/${name}/Cargo.toml`] =
      `[package]\nname = "beamline-${name}"\nversion = "0.1.0"\nedition = "2024"\n\n${dependencies}`
    files[`crates/${name}/src/lib.rs`] = ''
  }
  return files
}

const path = (name) => `beamline-${name} = { path = "../${name}" }`

test('arrows: down and through is allowed', async () => {
  const found = await problems(
    arrows,
    workspace({
      arena: '',
      media: `[dependencies]\n${path('arena')}`,
      codec: `[dependencies]\n${path('media')}\n${path('arena')}`,
    }),
  )
  assert.deepEqual(found, [])
})

test('arrows: upwards fails', async () => {
  const found = await problems(arrows, workspace({ io: '', arena: `[dependencies]\n${path('io')}` }))
  assert.match(found.join('\n'), /arena depends on io: no such arrow/)
})

test('arrows: sideways between domain crates fails', async () => {
  const found = await problems(arrows, workspace({ codec: '', container: `[dependencies]\n${path('codec')}` }))
  assert.match(found.join('\n'), /container depends on codec/)
})

test('arrows: testkit outside of tests fails, inside it is fine', async () => {
  const kit = workspace({ testkit: '', media: `[dependencies]\n${path('testkit')}` })
  assert.match((await problems(arrows, kit)).join('\n'), /media depends on testkit, which is only for tests/)
  assert.deepEqual(
    await problems(arrows, workspace({ testkit: '', media: `[dev-dependencies]\n${path('testkit')}` })),
    [],
  )
})

test('arrows: an unknown crate fails', async () => {
  assert.match((await problems(arrows, workspace({ utils: '' }))).join('\n'), /not in the table of arrows/)
})

for (const [crate, outside] of [
  ['media', 'napi = "3"'],
  ['flow', 'napi-derive = "3"'],
  ['codec', 'ffmpeg-next = "9"'],
  ['node', 'ffmpeg-sys-next = "9"'],
  ['media', 'tokio = "1"'],
  ['io', 'tokio = "1"'],
]) {
  test(`arrows: ${outside} in ${crate} fails`, async () => {
    assert.equal((await problems(arrows, workspace({ [crate]: `[dependencies]\n${outside}` }))).length, 1)
  })
}

test('arrows: an optional tokio in io is fine', async () => {
  assert.deepEqual(
    await problems(arrows, workspace({ io: '[dependencies]\ntokio = { version = "1", optional = true }' })),
    [],
  )
})

const linted = '[lints]\nworkspace = true\n'

test('unsafe: outside of its places fails, and comments and strings do not count', async () => {
  const source = [
    '// unsafe in a comment /* unsafe */',
    'const A: &str = "unsafe \\" unsafe";',
    'const B: &str = r#"unsafe " unsafe"#;',
    "const C: char = '\"'; /* /* nested */ unsafe */",
    "fn f<'a>(x: &'a u8) -> u8 { unsafe { *(x as *const u8) } }",
  ].join('\n')
  const found = await problems(unsafe, { 'crates/media/Cargo.toml': linted, 'crates/media/src/lib.rs': source })
  assert.deepEqual(found, ['crates/media/src/lib.rs:5: unsafe is not allowed here'])
})

test('unsafe: its places are open', async () => {
  const places = [
    'arena/src/a.rs',
    'ffmpeg/src/a.rs',
    'convert/src/simd/a.rs',
    'node/src/sys/a.rs',
    'capture/src/backends/v4l2/sys.rs',
  ]
  const files = Object.fromEntries(places.map((place) => [`crates/${place}`, 'unsafe fn f() {}']))
  assert.deepEqual(await problems(unsafe, files), [])
})

test('unsafe: a crate without the workspace lints fails', async () => {
  assert.match(
    (await problems(unsafe, { 'crates/media/Cargo.toml': '[package]\n' })).join('\n'),
    /\[lints\] workspace = true is missing/,
  )
})

test('file-size: a long file fails, long inline tests do not', async () => {
  const long = 'fn f() {}\n'.repeat(601)
  const found = await problems(fileSize, {
    'crates/media/src/long.rs': long,
    'crates/media/src/tested.rs': `fn f() {}\n#[cfg(test)]\nmod tests {\n${long}}\n`,
    'src/long.ts': 'f()\n'.repeat(601),
  })
  assert.deepEqual(
    found.map((text) => text.split(':')[0]),
    ['crates/media/src/long.rs', 'src/long.ts'],
  )
})

test('file-names: the other language’s form fails, and so does a name that says nothing', async () => {
  const found = await problems(fileNames, {
    'crates/media/src/pixel-format.rs': '',
    'crates/media/src/pixel_format.rs': '',
    'src/video_frame.ts': '',
    'src/VideoFrame.ts': '',
    'src/video-frame.ts': '',
    'src/utils.ts': '',
    'src/native/binding.d.ts': '',
    '__test__/video-frame.spec.ts': '',
  })
  assert.deepEqual(
    found.map((text) => text.split(':')[0]),
    ['crates/media/src/pixel-format.rs', 'src/VideoFrame.ts', 'src/utils.ts', 'src/video_frame.ts'],
  )
})

test('prettier: a file that is not formatted fails', async () => {
  const found = await problems(prettier, {
    '.prettierrc': '{ "semi": false }',
    'src/bad.ts': 'const  a = 1;\n',
    'src/good.ts': 'const a = 1\n',
  })
  assert.deepEqual(found, ['src/bad.ts'])
})

test('publint: an entry point that is not there fails', async () => {
  const pkg = (target) =>
    JSON.stringify({
      name: 'x',
      version: '1.0.0',
      type: 'module',
      license: 'MIT',
      files: ['dist'],
      exports: { '.': target },
    })
  assert.notDeepEqual(await problems(publint, { 'package.json': pkg('./dist/gone.js') }), [])
  assert.deepEqual(
    await problems(publint, { 'package.json': pkg('./dist/index.js'), 'dist/index.js': 'export const a = 1\n' }),
    [],
  )
})

test('generated: a binding that differs from the build fails, and so does none', async () => {
  const same = { 'build/native/binding.d.ts': 'a', 'src/native/binding.d.ts': 'a' }
  assert.deepEqual(await problems(generated, same), [])
  assert.match((await problems(generated, { ...same, 'src/native/binding.d.ts': 'b' })).join(), /differs/)
  assert.match((await problems(generated, { 'build/native/binding.d.ts': 'a' })).join(), /missing/)
  assert.match((await problems(generated, {})).join(), /missing/)
})

test('contract: a contract that src no longer keeps fails', async () => {
  const { rollUp } = await import('../lib/rollup.mjs')
  const src = (text) => ({
    'package.json': '{ "type": "module" }',
    'build/keep': '',
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        strict: true,
        rootDir: 'src',
        declaration: true,
        stripInternal: true,
        types: [],
      },
      include: ['src'],
    }),
    'src/index.ts': text,
  })
  const source = '/** One. */\nexport const one = 1\n/** @internal */\nexport const inner = 2\n'
  await withFiles(
    src(source),
    (root) => {
      const rolled = rollUp(root)
      assert.match(rolled, /\/\*\* One\. \*\//)
      assert.doesNotMatch(rolled, /inner/)
      writeFileSync(join(root, 'index.d.ts'), rolled)
      assert.deepEqual(contract(root), [])
      writeFileSync(join(root, 'src/index.ts'), source.replace('one = 1', 'one = 2'))
      assert.match(contract(root).join(), /differs from src/)
      writeFileSync(join(root, 'src/index.ts'), 'export const one: string = 1\n')
      assert.match(contract(root).join(), /error TS2322/)
      rmSync(join(root, 'index.d.ts'))
      assert.match(contract(root).join(), /missing/)
    },
    fromRoot('build', 'check-fixtures'),
  )
})

const documented = `/** A. */
export declare class A {
  #private;
  /** Makes one. */
  constructor(value: number);
  private hidden;
  /** B. */
  get b(): number;
}
interface Inner { c: number }
/** D. */
declare const d: Inner;
export { d };
`

test('contract-docs: a documented contract is fine', async () => {
  assert.deepEqual(await problems(contractDocs, { 'index.d.ts': documented }), [])
})

for (const [what, broken, expected] of [
  ['a member without a comment', documented.replace('/** B. */', ''), /A\.b has no doc comment/],
  ['a symbol without a comment', documented.replace('/** A. */', ''), /: A has no doc comment/],
  ['a symbol exported by a list without a comment', documented.replace('/** D. */', ''), /d has no doc comment/],
  ['a comment of tags only', documented.replace('/** B. */', '/** @readonly */'), /A\.b has no doc comment/],
  ['any', documented.replace('b(): number', 'b(): any'), /`any` promises nothing/],
  ['an enum', `${documented}/** E. */\nexport declare enum E { a }\n`, /an enum/],
  ['a native name', documented.replace('b(): number', 'b(): NativeFrame'), /NativeFrame belongs to the machinery/],
]) {
  test(`contract-docs: ${what} fails`, async () => {
    assert.match((await problems(contractDocs, { 'index.d.ts': broken })).join('\n'), expected)
  })
}

test('matrix-hash: a change of border or codec code is told, other changes are not', async () => {
  await withFiles(
    { 'crates/codec/src/lib.rs': 'a', 'crates/convert/src/lib.rs': 'a', 'matrix/RESULTS.md': '' },
    (root) => {
      assert.match(notice(root), /NOTICE/)
      writeFileSync(join(root, 'matrix/RESULTS.md'), `Content hash: \`${matrixHash(root)}\`\n`)
      assert.equal(notice(root), null)
      writeFileSync(join(root, 'crates/convert/src/lib.rs'), 'b')
      assert.equal(notice(root), null)
      writeFileSync(join(root, 'crates/codec/src/lib.rs'), 'b')
      assert.match(notice(root), /NOTICE/)
    },
  )
})

test('third-party: a list that is not that of the lock file fails, and so does a licence we cannot ship', async () => {
  const { check, isAccepted } = await import('./third-party.mjs')
  assert.ok(isAccepted('MIT OR GPL-3.0'))
  assert.ok(isAccepted('(MIT OR Apache-2.0) AND Unicode-3.0'))
  assert.ok(!isAccepted('GPL-3.0-or-later'))
  assert.ok(!isAccepted('MIT AND GPL-2.0'))
  const crate = (license) => ({
    'Cargo.toml': '[workspace]\nresolver = "3"\nmembers = ["node"]\nexclude = ["outside"]\n',
    'node/Cargo.toml': '[package]\nname = "beamline-node"\nversion = "0.1.0"\nedition = "2024"\n',
    'node/src/lib.rs': '',
    'THIRD-PARTY.md': `<!-- crates: begin -->${license}<!-- crates: end -->`,
  })
  assert.match((await problems(check, crate('\n\nold\n'))).join(), /does not list the crates/)
  const empty = '\n\n| crate | licence |\n|---|---|\n\n\n'
  assert.deepEqual(await problems(check, crate(empty)), [])
  assert.match((await problems(check, { 'Cargo.toml': '' })).join(), /missing/)
})
