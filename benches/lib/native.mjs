// What is built for measuring alone: cargo examples, and what lies in benches/native: two addons and a program.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cargoEnv } from '../../scripts/lib/cargo.mjs'
import { fromRoot } from '../../scripts/lib/paths.mjs'
import { run, tail } from '../../scripts/lib/run.mjs'

const out = fromRoot('build', 'bench')

async function cargo(args, env) {
  const { code, output } = await run('cargo', args, { env, log: join(out, 'cargo.log') })
  if (code !== 0) throw new Error(`cargo ${args.join(' ')} failed:\n${tail(output)}`)
}

/** Where cargo puts things. */
const targetOf = (env) => env.CARGO_TARGET_DIR ?? fromRoot('target')

/** Builds an example of a crate; gives its path. */
export async function example(crate, name) {
  const env = cargoEnv()
  await cargo(['build', '--release', '-p', crate, '--example', name], env)
  return join(targetOf(env), 'release', 'examples', name)
}

/** `stamped` is compiled from the files of the product's border: its list of modules follows that of crates/node/src/lib.rs. */
function followBorder() {
  const border = fromRoot('crates', 'node', 'src')
  const modules = [...readFileSync(join(border, 'lib.rs'), 'utf8').matchAll(/^mod (\w+);/gm)].map(([, name]) => {
    if (name === 'runtime') return 'mod runtime;\nmod source;'
    const file = existsSync(join(border, `${name}.rs`)) ? `${name}.rs` : `${name}/mod.rs`
    return `#[path = "../../../../crates/node/src/${file}"]\nmod ${name};`
  })
  const path = fromRoot('benches', 'native', 'stamped', 'src', 'lib.rs')
  const text = readFileSync(path, 'utf8').replace(
    /(?<=\/\/ Written by lib\/native\.mjs:\n)[^]*/,
    `${modules.join('\n')}\n`,
  )
  if (text !== readFileSync(path, 'utf8')) writeFileSync(path, text)
}

/** Builds `meter` or `stamped`; gives the addon's path. */
export async function addon(name) {
  const env = cargoEnv()
  const manifest = fromRoot('benches', 'native', 'Cargo.toml')
  if (name === 'stamped') followBorder()
  const library = `beamline-bench-${name}`
  await cargo(['build', '--release', '--manifest-path', manifest, '-p', library, '--target-dir', targetOf(env)], env)
  mkdirSync(out, { recursive: true })
  const path = join(out, `${name}.node`)
  copyFileSync(join(targetOf(env), 'release', `lib${library.replaceAll('-', '_')}.so`), path)
  return path
}

/** Builds the program of benches/native/link; gives its path. */
export async function program() {
  const env = cargoEnv()
  const manifest = fromRoot('benches', 'native', 'Cargo.toml')
  const name = 'beamline-bench-link'
  await cargo(['build', '--release', '--manifest-path', manifest, '-p', name, '--target-dir', targetOf(env)], env)
  mkdirSync(out, { recursive: true })
  const path = join(out, 'link')
  copyFileSync(join(targetOf(env), 'release', name), path)
  return path
}

/** The product must be built; what it is built of is said in the result. */
export function checkBuilt() {
  for (const path of ['dist/index.js', 'npm/linux-x64-gnu/beamline.linux-x64-gnu.node']) {
    if (!existsSync(fromRoot(path))) throw new Error(`${path} is missing: run \`npm run build\` first`)
  }
}
