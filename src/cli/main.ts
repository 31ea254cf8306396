#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { type Args, readArgs, UsageError } from './args.js'
import { commandHelp, COMMANDS, EXIT, generalHelp } from './commands.js'
import { sayError, say } from './people.js'

/** Loaded only when it runs: `--help` must work where the addon does not load. */
const RUN: Record<string, () => Promise<(args: Args) => Promise<number>>> = {
  record: async () => (await import('./record.js')).record,
  devices: async () => (await import('./devices.js')).devices,
  doctor: async () => (await import('./doctor.js')).doctor,
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(`${generalHelp()}\n`)
    return name === undefined ? EXIT.usage : EXIT.ok
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version()}\n`)
    return EXIT.ok
  }
  const command = COMMANDS.find((c) => c.name === name)
  const run = RUN[name]
  if (!command || !run) {
    say(`beamline: expected one of ${COMMANDS.map((c) => c.name).join(', ')} but received '${name}'`)
    return EXIT.usage
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(`${commandHelp(command)}\n`)
    return EXIT.ok
  }
  try {
    const args = readArgs(command, rest, name === 'record' ? 1 : 0)
    return await (
      await run()
    )(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    say(`beamline: ${error.message}\n  beamline ${name} --help tells what there is`)
    return EXIT.usage
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    sayError(error)
    process.exitCode = EXIT.failed
  },
)
