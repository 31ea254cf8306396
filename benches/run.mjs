// The figures, side by side with their peers: a table on stdout, everything else in build/bench.json.
//
//   npm run bench [-- --only frame,wake] [--quick] [--pairs N] [--write]
//
// --quick   fewer runs and pairs: to see that it works, not to be quoted
// --write   also refreshes benches/RESULTS.md and benches/results.json, row by row: those that were not run stay as they are
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fromRoot, root } from '../scripts/lib/paths.mjs'
import { say } from '../scripts/lib/log.mjs'
import { load, machine } from './lib/machine.mjs'
import { checkBuilt } from './lib/native.mjs'
import { markdown, table } from './lib/report.mjs'
import * as arena from './row-arena.mjs'
import * as convert from './row-convert.mjs'
import * as copies from './row-copies.mjs'
import * as eventLoop from './row-event-loop.mjs'
import * as frame from './row-frame.mjs'
import * as framemd5 from './row-framemd5.mjs'
import * as grant from './row-grant.mjs'
import * as killed from './row-killed.mjs'
import * as ping from './row-ping.mjs'
import * as readerCpu from './row-reader-cpu.mjs'
import * as readers from './row-readers.mjs'
import * as sharedCopies from './row-shared-copies.mjs'
import * as transcode from './row-transcode.mjs'
import * as wake from './row-wake.mjs'
import * as y4m from './row-y4m.mjs'

/** In the order of the contract. */
const rows = [arena, frame, wake, transcode, y4m, eventLoop, copies, convert, framemd5].concat(
  // Between processes.
  [grant, ping, killed, readerCpu, readers, sharedCopies],
)

process.chdir(root)
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    pairs: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const names = values.only?.split(',')
const unknown = names?.filter((name) => !rows.some(({ id }) => id === name))
if (unknown?.length) {
  say(`no such row: ${unknown.join(', ')}; expected some of ${rows.map(({ id }) => id).join(', ')}`)
  process.exit(2)
}
checkBuilt()

const results = []
for (const row of rows.filter(({ id }) => !names || names.includes(id))) {
  say(`${row.id}: ${row.what}`)
  const before = load()
  const begin = Date.now()
  const result = await row
    .run({ quick: values.quick, pairs: values.pairs && Number(values.pairs) })
    .catch((error) => ({ error: String(error.message), figures: [], commands: {} }))
  const after = load(before.mark)
  results.push({
    id: row.id,
    what: row.what,
    reach: row.reach,
    ...machine(),
    quick: values.quick,
    seconds: Math.round((Date.now() - begin) / 1000),
    load: { before: before.loadavg, after: after.loadavg, stolenPercent: after.stolenPercent },
    ...result,
  })
  if (result.error) say(`  ${result.error}`)
}

mkdirSync(fromRoot('build'), { recursive: true })
writeFileSync(fromRoot('build', 'bench.json'), `${JSON.stringify(results, null, 1)}\n`)
console.log(table(results))
say('all runs, command lines and loads: build/bench.json')

if (values.write) {
  const kept = fromRoot('benches', 'results.json')
  const old = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : []
  const all = rows.flatMap(({ id }) => {
    const row = results.find((r) => r.id === id && !r.error) ?? old.find((r) => r.id === id)
    // Command lines as they are typed in the checkout: where it lies is nobody's business.
    return row ? [JSON.parse(JSON.stringify(row).replaceAll(`${root}/`, ''))] : []
  })
  writeFileSync(kept, `[\n${all.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`)
  const causes = JSON.parse(readFileSync(fromRoot('benches', 'causes.json'), 'utf8'))
  writeFileSync(fromRoot('benches', 'RESULTS.md'), markdown(all, causes))
  say('benches/RESULTS.md is written')
}
if (results.some(({ error }) => error)) process.exitCode = 1
