// Builds the fuzz targets without cargo-fuzz (its installation takes longer than the fuzzing): the flags are the ones it would pass.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cachedTarget, cargoEnv, dependencyKey } from './cargo.mjs'
import { fromRoot } from './paths.mjs'
import { capture, run } from './run.mjs'

const triple = 'x86_64-unknown-linux-gnu'

// Where the fuzzer gets its guidance: edges, the table of their addresses, and what comparisons compare.
const coverage = [
  '--cfg=fuzzing',
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '-Cdebug-assertions',
  '-Ccodegen-units=1',
]

/** Names of the [[bin]] targets in fuzz/Cargo.toml. */
export function fuzzTargets(manifest = fromRoot('fuzz', 'Cargo.toml')) {
  if (!existsSync(manifest)) return []
  const sections = readFileSync(manifest, 'utf8')
    .split(/^\[\[bin\]\]\s*$/m)
    .slice(1)
  return sections.map((text) => /^\s*name\s*=\s*"([^"]+)"/m.exec(text.split(/^\[/m)[0])?.[1]).filter(Boolean)
}

/** Builds them all; `asan` tells whether the nightly with AddressSanitizer did it. */
export async function buildFuzz() {
  const nightly = capture('cargo', ['+nightly', '-V'], { stdio: ['ignore', 'pipe', 'ignore'] }) !== null
  const toolchain = nightly ? ['+nightly'] : []
  const flags = nightly ? [...coverage, '-Zsanitizer=address'] : coverage
  const target = cachedTarget(nightly ? 'fuzz-asan' : 'fuzz', dependencyKey(fromRoot('fuzz', 'Cargo.lock'), toolchain))
  const env = cargoEnv({ CARGO_ENCODED_RUSTFLAGS: flags.join('\x1f'), CARGO_TARGET_DIR: target })
  // --target keeps the flags away from build scripts and proc macros, which could not run with them.
  const args = [...toolchain, 'build', '--release', '--bins', '--target', triple, '--manifest-path', 'fuzz/Cargo.toml']
  const { code, output } = await run('cargo', args, {
    env,
    log: fromRoot('build', 'logs', 'fuzz-build.log'),
    timeoutMs: 30 * 60_000,
  })
  return { code, output, asan: nightly, folder: join(target, triple, 'release') }
}
