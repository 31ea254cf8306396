// `npm run test:fresh [-- --tests]`: what a newcomer meets. A Debian 12 into which only Node and Rust are brought, a clone of the
// commit that is checked out here, `npm start` twice; with --tests also `npm test`.
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { say, seconds } from './lib/log.mjs'
import { cacheRoot, root } from './lib/paths.mjs'
import { ensureRootfs, guestHome, inside, rootfsObstacle, rustBind } from './lib/rootfs.mjs'
import { capture, run } from './lib/run.mjs'

/** Node as it comes: its program and npm. */
function bringNode(folder) {
  const npm = dirname(dirname(realpathSync(capture('sh', ['-c', 'command -v npm']))))
  const local = join(folder, 'usr', 'local')
  cpSync(realpathSync(process.execPath), join(local, 'bin', 'node'))
  cpSync(npm, join(local, 'lib', 'node_modules', 'npm'), { recursive: true })
  for (const name of ['npm', 'npx']) {
    const link = join(local, 'bin', name)
    if (!existsSync(link)) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, link)
  }
}

async function must(what, promise) {
  const { code, output } = await promise
  if (code !== 0) throw new Error(`${what} failed (${code}):\n${output}`)
}

/** One command inside, timed and shown. */
async function timed(folder, command) {
  console.log(`\n$ ${command}`)
  const started = Date.now()
  const options = { binds: [rustBind()], show: true, timeoutMs: 90 * 60_000 }
  const { code } = await inside(folder, `cd ${guestHome}/beamline && ${command}`, options)
  const took = Date.now() - started
  console.log(`$ ${command}: exit code ${code}, ${seconds(took)}`)
  return { command, code, took }
}

async function main() {
  const obstacle = rootfsObstacle()
  if (obstacle) {
    say(`test:fresh cannot run here: ${obstacle}`)
    process.exit(2)
  }
  if (capture('git', ['status', '--porcelain'])) say('Note: what is not committed is not tried.')
  const base = await ensureRootfs('bookworm')
  mkdirSync(cacheRoot, { recursive: true })
  const folder = mkdtempSync(join(cacheRoot, 'beamline-fresh-'))
  try {
    // A copy: the next try must be as fresh as this one.
    await must('cp', run('cp', ['-a', '--reflink=auto', `${base}/.`, folder]))
    bringNode(folder)
    await must(
      'git clone',
      run('git', ['clone', '--quiet', '--no-hardlinks', root, join(folder, guestHome, 'beamline')]),
    )
    const results = [await timed(folder, 'npm start'), await timed(folder, 'npm start')]
    if (process.argv.includes('--tests')) results.push(await timed(folder, 'npm test'))
    console.log('\ncommand      exit     time')
    for (const { command, code, took } of results)
      console.log(command.padEnd(12), String(code).padStart(4), seconds(took).padStart(8))
    process.exitCode = results.some(({ code }) => code !== 0) ? 1 : 0
  } finally {
    // Safe: the mounts were in a namespace that is gone, only the copy is left. Never across file systems, should that ever change.
    await run('rm', ['-rf', '--one-file-system', folder])
    rmSync(folder, { recursive: true, force: true })
  }
}

await main()
