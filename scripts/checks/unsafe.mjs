// `unsafe` only where the plan allows it, and every crate under the workspace's lints, so that the compiler looks too.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { codeOnly } from '../lib/rust-source.mjs'
import { filesUnder } from '../lib/stamp.mjs'

export const title = 'unsafe stands only where the plan allows it'

/** Paths below the checkout. Each row: what, why. */
const allowed = [
  [/^crates\/arena\//, 'maps and seals memory'],
  [/^crates\/ffmpeg\//, 'FFmpeg is C'],
  [/^crates\/convert\/(src|tests|benches)\/simd(\/|\.rs$)/, 'SIMD intrinsics'],
  [/^crates\/node\/src\/sys(\/|\.rs$)/, 'napi_sys'],
  [/^crates\/capture\/src\/backends\/[^/]+\/sys\.rs$/, 'device ioctls'],
  [
    /^crates\/flow\/tests\/(count\/|zero_copy\.rs$)/,
    'counts every malloc and mmap of its process, by standing in for them',
  ],
  [
    /^crates\/link\/tests\/same_memory\.rs$/,
    'shows that two processes have one memory: looks and stores behind the addresses of slots, as drivers do',
  ],
  [/^crates\/link\/src\/sys\.rs$/, 'sockets, pidfds, eventfds'],
  [/^crates\/alpha-capi\//, 'a C ABI'],
]

export function check(root) {
  const crates = join(root, 'crates')
  if (!existsSync(crates)) return []
  return [
    ...readdirSync(crates).flatMap((name) => checkLints(root, name)),
    ...filesUnder([crates]).flatMap((file) => checkFile(root, file)),
  ]
}

function checkLints(root, name) {
  const manifest = join(root, 'crates', name, 'Cargo.toml')
  if (!existsSync(manifest)) return []
  return /^\[lints\]\s*\n\s*workspace\s*=\s*true/m.test(readFileSync(manifest, 'utf8'))
    ? []
    : [`crates/${name}/Cargo.toml: [lints] workspace = true is missing`]
}

function checkFile(root, file) {
  const path = relative(root, file)
  if (!path.endsWith('.rs') || allowed.some(([pattern]) => pattern.test(path))) return []
  return codeOnly(readFileSync(file, 'utf8'))
    .split('\n')
    .flatMap((line, index) => (/\bunsafe\b/.test(line) ? [`${path}:${index + 1}: unsafe is not allowed here`] : []))
}
