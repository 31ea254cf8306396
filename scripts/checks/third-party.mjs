// THIRD-PARTY.md names every crate that is linked into the addon, with its licence, and no licence is one we cannot ship.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const title = 'THIRD-PARTY.md lists the crates in the addon (npm run third-party writes it)'

const begin = '<!-- crates: begin -->'
const end = '<!-- crates: end -->'

/** Licences that allow us to ship under MIT; a crate under a choice needs one of them. */
const accepted = new Set(
  'MIT,Apache-2.0,Apache-2.0 WITH LLVM-exception,BSD-2-Clause,BSD-3-Clause,ISC,Zlib,Unlicense,0BSD,CC0-1.0,WTFPL,Unicode-3.0,BSL-1.0,MIT-0'.split(
    ',',
  ),
)

/** Crates linked into the addon: the normal dependencies of the node crate on Linux, all the way down. */
export function listed(root) {
  const args = ['metadata', '--format-version', '1', '--filter-platform', 'x86_64-unknown-linux-gnu']
  const result = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (result.status !== 0) throw new Error(`cargo metadata failed: ${result.stderr.trim()}`)
  const { packages, resolve } = JSON.parse(result.stdout)
  const byId = new Map(packages.map((pkg) => [pkg.id, pkg]))
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
  const start = packages.find(({ name }) => name === 'beamline-node')
  const seen = new Set()
  const visit = (id) => {
    if (seen.has(id)) return
    seen.add(id)
    const isMacro = byId.get(id).targets.some(({ kind }) => kind.includes('proc-macro'))
    if (isMacro) return // it and what it uses run in the compiler only
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
      if (kinds.some(({ kind }) => kind === null)) visit(pkg)
    }
  }
  visit(start.id)
  return [...seen]
    .map((id) => byId.get(id))
    .filter(({ source, targets }) => source !== null && !targets.some(({ kind }) => kind.includes('proc-macro')))
    .map(({ name, license }) => ({
      name,
      license: (license ?? 'unknown').replaceAll('/', ' OR ').replace(/\s+/g, ' '),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .filter(({ name }, index, all) => name !== all[index - 1]?.name)
}

/** The text with the list put between its marks. */
export function withList(text, crates) {
  const rows = crates.map(({ name, license }) => `| ${name} | ${license} |`).join('\n')
  const [before, rest] = text.split(begin)
  return `${before}${begin}\n\n| crate | licence |\n|---|---|\n${rows}\n\n${end}${rest.split(end)[1]}`
}

/** Whether an SPDX expression can be met with accepted licences: every `AND` part, at least one `OR` part of it. */
export function isAccepted(license) {
  const bare = license.replace(/[()]/g, '')
  return bare.split(' AND ').every((part) => part.split(' OR ').some((name) => accepted.has(name.trim())))
}

export function check(root) {
  const path = join(root, 'THIRD-PARTY.md')
  if (!existsSync(path)) return ['THIRD-PARTY.md is missing']
  const text = readFileSync(path, 'utf8')
  if (!text.includes(begin) || !text.includes(end)) return [`THIRD-PARTY.md: the marks ${begin} and ${end} are missing`]
  let crates
  try {
    crates = listed(root)
  } catch (error) {
    return [error.message]
  }
  const refused = crates
    .filter(({ license }) => !isAccepted(license))
    .map(({ name, license }) => `${name}: licence ${license} is not among those we ship`)
  return withList(text, crates) === text
    ? refused
    : [...refused, 'THIRD-PARTY.md does not list the crates of Cargo.lock: run `npm run third-party` and commit it']
}
