// The table of arrows (the plan, §1): which crate may use which. Arrows only go down and are transitive.
import { spawnSync } from 'node:child_process'

export const title = 'crates depend only on what the plan allows'

/** Direct arrows; what those may use is added below. `dev` crates may only be dev-dependencies. */
const arrows = {
  arena: [],
  io: [],
  media: ['arena'],
  convert: ['media'],
  codec: ['media'],
  link: ['media'],
  laser: ['media'],
  container: ['media', 'io'],
  capture: ['media', 'convert', 'io', 'link'],
  alpha: ['media', 'convert', 'io'],
  'alpha-capi': ['alpha'],
  'laser-sim': ['laser'],
  ffmpeg: ['codec', 'container', 'convert'],
  flow: ['capture', 'codec', 'container', 'convert', 'link'],
  pipeline: ['media', 'link'],
  elements: ['pipeline', 'flow', 'alpha', 'laser'],
}
const everything = Object.keys(arrows)
arrows.testkit = everything
arrows.node = [...everything]
const devOnly = new Set(['testkit'])

/** Crates from outside that have one home. */
const homes = [
  { crate: /^napi(-|$)/, in: ['node'], why: 'napi appears only in node' },
  { crate: /^ffmpeg-(next|sys-next)$/, in: ['ffmpeg'], why: 'FFmpeg is linked only by ffmpeg' },
  {
    crate: /^tokio(-|$)/,
    in: ['io', 'capture', 'node', 'pipeline'],
    why: 'tokio only where there is network I/O, and in node and pipeline',
  },
]

/** A tokio in these must be asked for: who reads files should not pay for a runtime. */
const optionalTokio = new Set(['io', 'capture'])

function reachable(crate, seen = new Set()) {
  for (const next of arrows[crate] ?? []) {
    if (!seen.has(next)) reachable(next, seen.add(next))
  }
  return seen
}

export function check(root) {
  const result = spawnSync('cargo', ['metadata', '--no-deps', '--format-version', '1', '--offline'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (result.status !== 0) return [`cargo metadata failed: ${result.stderr.trim()}`]
  return JSON.parse(result.stdout).packages.flatMap(checkPackage)
}

function checkPackage({ name, manifest_path: manifest, dependencies }) {
  const short = name.replace(/^beamline-/, '')
  const folder = manifest.split('/').at(-2)
  if (name !== `beamline-${folder}`)
    return [`crates/${folder}: the package is called ${name}, expected beamline-${folder}`]
  if (!(short in arrows))
    return [`${name}: not in the table of arrows; add its row to scripts/checks/arrows.mjs and to the plan`]
  return dependencies.flatMap((dependency) => checkDependency(short, dependency))
}

function checkDependency(crate, { name, kind, optional }) {
  const own = name.match(/^beamline-(.+)$/)?.[1]
  const how = kind === 'dev' ? 'dev-depends' : 'depends'
  if (own) {
    if (devOnly.has(own)) return kind === 'dev' ? [] : [`${crate} ${how} on ${own}, which is only for tests`]
    // A test may reach what testkit reaches, except the composition root.
    const allowed = reachable(kind === 'dev' ? 'testkit' : crate)
    return allowed.has(own) ? [] : [`${crate} ${how} on ${own}: no such arrow in the plan`]
  }
  const home = homes.find((row) => row.crate.test(name))
  if (home && !home.in.includes(crate)) return [`${crate} ${how} on ${name}: ${home.why}`]
  if (home && name.startsWith('tokio') && optionalTokio.has(crate) && kind !== 'dev' && !optional) {
    return [`${crate} ${how} on ${name} always: there it must be optional, behind a feature`]
  }
  return []
}
