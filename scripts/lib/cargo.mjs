// What every cargo call of ours needs: bindgen's headers, and a target folder that CI can find again in the next clone.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { cacheRoot, fromRoot, inCache, inCi } from './paths.mjs'
import { capture } from './run.mjs'

/** `key` of the products that can be shared: the dependencies and the compiler. */
export function dependencyKey(lockFile = fromRoot('Cargo.lock'), toolchain = []) {
  const lock = existsSync(lockFile) ? readFileSync(lockFile) : ''
  const version = capture('rustc', [...toolchain, '-V']) ?? ''
  return createHash('sha256').update(lock).update(version).digest('hex').slice(0, 12)
}

/** Environment for cargo. In CI the workspace's target folder lies in the cache, so that a fresh clone finds its dependencies built. */
export function cargoEnv(extra = {}) {
  const include = capture('gcc', ['-print-file-name=include'])
  const env = { ...process.env, ...extra }
  // libclang1 alone comes without clang's own headers: bindgen takes gcc's.
  if (include)
    env.BINDGEN_EXTRA_CLANG_ARGS = [process.env.BINDGEN_EXTRA_CLANG_ARGS, `-I${include}`].filter(Boolean).join(' ')
  if (inCi && !env.CARGO_TARGET_DIR) env.CARGO_TARGET_DIR = workspaceTarget()
  if (inCi) env.CARGO_INCREMENTAL = '0' // nothing is built twice from one clone, and the files would pile up
  return env
}

const prefix = 'beamline-target'
const dayMs = 86_400_000
const mostKib = 12 * 1024 * 1024

// Looked for once: the garbage collection that goes with it must not run between two cargo calls.
let found
const workspaceTarget = () => (found ??= cachedTarget('ws'))

/** A target folder in the cache for one kind of build (`ws`, `loom`, `fuzz`, …); older ones of that kind are removed. */
export function cachedTarget(kind, key = dependencyKey()) {
  const dir = inCache(`${prefix}-${kind}-${key}`)
  mkdirSync(dir, { recursive: true })
  const mark = join(dir, '.last-used')
  if (!existsSync(mark)) writeFileSync(mark, '')
  utimesSync(mark, new Date(), new Date())
  collectGarbage(new RegExp(`^${prefix}-${kind}-[0-9a-f]{12}$`), dir)
  return dir
}

/**
 * Keeps the folder in use, unless clone after clone has filled it, and one other that was used within three days (a branch with other
 * dependencies); the rest goes.
 */
function collectGarbage(ofThisKind, current) {
  const others = readdirSync(cacheRoot)
    .filter((name) => ofThisKind.test(name) && join(cacheRoot, name) !== current)
    .map((name) => {
      const mark = join(cacheRoot, name, '.last-used')
      return { path: join(cacheRoot, name), usedMs: existsSync(mark) ? statSync(mark).mtimeMs : 0 }
    })
    .sort((a, b) => b.usedMs - a.usedMs)
  const stale = others.filter(({ usedMs }, index) => index > 0 || Date.now() - usedMs > 3 * dayMs)
  for (const { path } of stale) rmSync(path, { recursive: true, force: true })
  const kib = Number.parseInt(capture('du', ['-sk', current]) ?? '0', 10)
  if (kib > mostKib)
    for (const name of readdirSync(current))
      if (name !== '.last-used') rmSync(join(current, name), { recursive: true, force: true })
}
