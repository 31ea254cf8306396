import { accessSync, constants } from 'node:fs'
import { availableParallelism, freemem } from 'node:os'
import { openCapture } from '../capture.js'
import { BeamlineError } from '../errors.js'
import { encodeImage } from '../image.js'
import { memory, runtime } from '../runtime.js'
import type { Args } from './args.js'
import { EXIT } from './commands.js'
import { say } from './people.js'

/** One line of the doctor's report. */
interface Finding {
  /** `ok`; `limited`: it works in part; `broken`: Beamline cannot do its main job. */
  state: 'ok' | 'limited' | 'broken'
  what: string
  detail: string
  /** What to do. */
  todo: string | null
}

type Check = () => Promise<Omit<Finding, 'what'>> | Omit<Finding, 'what'>

const ok = (detail: string): Omit<Finding, 'what'> => ({ state: 'ok', detail, todo: null })

const ADDON = 'native addon'

/**
 * What is looked at, in order. A check that throws is broken, with the error's words. What needs the addon is not looked at without it: it
 * would say the same once more.
 */
const CHECKS: ReadonlyArray<readonly [what: string, check: Check, needs?: 'addon']> = [
  ['Node', node],
  [ADDON, () => ok(`version ${runtime.version}`)],
  ['FFmpeg', () => ok(`${runtime.ffmpeg.version}, ${runtime.ffmpeg.license}`), 'addon'],
  ['H.264 encoder', encoder, 'addon'],
  ['shared memory', sharedMemory, 'addon'],
  ['zero copy', zeroCopy, 'addon'],
  ['stills', stills, 'addon'],
  [
    'cameras',
    () => ({
      state: 'limited',
      detail: 'no camera backend in this version',
      todo: 'use files, image sequences and patterns',
    }),
  ],
  ['this folder', folder],
  ['machine', () => ok(`${availableParallelism()} cores, ${(freemem() / 2 ** 30).toFixed(1)} GiB of memory free`)],
]

function node(): Omit<Finding, 'what'> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 17)) return ok(process.version)
  return { state: 'broken', detail: process.version, todo: 'install Node 20.17 or newer' }
}

function encoder(): Omit<Finding, 'what'> {
  const name = runtime.features.h264Encoder
  if (name) return ok(name)
  return { state: 'broken', detail: 'FFmpeg has none', todo: 'install an FFmpeg with libx264 or libopenh264' }
}

async function sharedMemory(): Promise<Omit<Finding, 'what'>> {
  const capture = await openCapture('pattern:solid?width=64&height=64&live=false&frames=1')
  for await (const frame of capture) frame.close()
  await capture.close()
  const { allocations } = memory.stats()
  return ok(`a frame went through a sealed memfd (${allocations} slot(s) taken)`)
}

function zeroCopy(): Omit<Finding, 'what'> {
  const mode = runtime.zeroCopyMode
  if (mode !== 'copy') return ok(`mode '${mode}'`)
  return {
    state: 'limited',
    detail: "mode 'copy': each frame that JavaScript looks at is copied",
    todo: process.env['BEAMLINE_ZERO_COPY'] ? 'unset BEAMLINE_ZERO_COPY' : 'run in plain Node, or a newer Electron',
  }
}

async function stills(): Promise<Omit<Finding, 'what'>> {
  const capture = await openCapture('pattern:smpte?width=64&height=64&live=false&frames=1')
  let bytes = 0
  for await (const frame of capture) {
    bytes = (await encodeImage(frame)).byteLength
    frame.close()
  }
  await capture.close()
  return ok(`a PNG of ${bytes} bytes`)
}

function folder(): Omit<Finding, 'what'> {
  try {
    accessSync('.', constants.W_OK)
    return ok('can be written')
  } catch {
    return { state: 'limited', detail: 'cannot be written', todo: 'record elsewhere: -o /tmp/clip.mp4' }
  }
}

/** `beamline doctor`. */
export async function doctor(args: Args): Promise<number> {
  const findings: Finding[] = []
  for (const [what, check, needs] of CHECKS) {
    if (needs && findings.some((f) => f.what === ADDON && f.state === 'broken')) continue
    try {
      findings.push({ what, ...(await check()) })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const todo = error instanceof BeamlineError ? (error.hint ?? null) : null
      findings.push({ what, state: 'broken', detail: message, todo })
    }
  }
  if (args.flag('json')) process.stdout.write(`${JSON.stringify(findings)}\n`)
  else print(findings)
  return findings.some((f) => f.state === 'broken') ? EXIT.failed : EXIT.ok
}

function print(findings: readonly Finding[]): void {
  const width = Math.max(...findings.map((f) => f.what.length))
  for (const { state, what, detail, todo } of findings) {
    process.stdout.write(`${state.padEnd(7)}  ${what.padEnd(width)}  ${detail}\n`)
    if (todo) process.stdout.write(`${' '.repeat(width + 11)}→ ${todo}\n`)
  }
  if (findings.some((f) => f.state === 'broken'))
    say('Beamline cannot do its main job here: see the lines that begin with "broken".')
}
