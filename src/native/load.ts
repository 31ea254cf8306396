import { createRequire } from 'node:module'
import { BeamlineError } from '../errors.js'
import type * as Binding from './binding.js'

/** What the addon exports. */
export type Addon = typeof Binding

const require = createRequire(import.meta.url)

/** Where the addon may lie, in the order of looking. The strings stand here whole, so that bundlers see them. */
const PLACES: Record<string, ReadonlyArray<readonly [place: string, load: () => unknown]>> = {
  'linux-x64-gnu': [
    [
      'npm/linux-x64-gnu/beamline.linux-x64-gnu.node (built here)',
      () => require('../../npm/linux-x64-gnu/beamline.linux-x64-gnu.node'),
    ],
    ['package beamline-linux-x64-gnu', () => require('beamline-linux-x64-gnu')],
  ],
}

/** Debian's packages that bring the libraries which the addon is linked to. */
const PACKAGES: ReadonlyArray<readonly [library: RegExp, debian: string]> = [
  [
    /libavcodec|libavformat|libavutil|libswscale|libswresample/,
    'libavformat-dev libavcodec-dev libswscale-dev libswresample-dev',
  ],
  [/libstdc\+\+/, 'libstdc++6'],
]

function platform(): string {
  const { platform, arch } = process
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  const libc = platform === 'linux' ? (report?.header?.glibcVersionRuntime ? '-gnu' : '-musl') : ''
  return `${platform}-${arch}${libc}`
}

let loaded: Addon | undefined

/** Loads the addon, once. */
export function loadAddon(): Addon {
  if (loaded) return loaded
  const target = platform()
  const places = PLACES[target]
  if (!places) {
    throw new BeamlineError(`there is no Beamline for ${target}: expected one of ${Object.keys(PLACES).join(', ')}`, {
      code: 'NotSupported',
      reason: 'platform-not-supported',
    })
  }
  const attempts: string[] = []
  const custom = process.env['BEAMLINE_NATIVE_PATH']
  const all = custom ? [[`${custom} (BEAMLINE_NATIVE_PATH)`, () => require(custom)] as const] : places
  for (const [place, load] of all) {
    try {
      loaded = load() as Addon
      return loaded
    } catch (error) {
      attempts.push(`${place}: ${(error as Error).message.split('\n')[0]}`)
    }
  }
  throw loadError(attempts)
}

/** Says what was tried, and what to do by the cause. */
export function loadError(attempts: readonly string[]): BeamlineError {
  const text = attempts.join('\n')
  const library = /(lib[\w+.-]+\.so[\w.]*): cannot open shared object file/.exec(text)?.[1]
  const debian = library && PACKAGES.find(([pattern]) => pattern.test(library))?.[1]
  let hint = 'build it with `npm start` in the folder of Beamline, or install the package for this platform'
  if (library && debian) {
    hint = `the library ${library} is missing: install it with \`apt-get install ${debian}\`; if it is there in another version, build Beamline anew with \`npm run build\``
  } else if (library) {
    hint = `the library ${library} is missing: install the package that brings it`
  } else if (/GLIBC_|version .* not found/.test(text)) {
    hint = 'this system is older than the one that Beamline was built on: build it here with `npm run build`'
  }
  return new BeamlineError(`the native part of Beamline does not load:\n  ${attempts.join('\n  ')}`, {
    code: 'NotSupported',
    reason: 'native-load',
    hint,
  })
}
