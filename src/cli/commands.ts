/** One option of a command. */
export interface OptionRow {
  /** Long name without dashes. */
  name: string
  /** One letter, where there is one. */
  short?: string
  /** What the value is called in the help; without: a flag. */
  value?: string
  /** What it does. */
  help: string
}

/** One command. */
export interface CommandRow {
  name: string
  /** The line behind the name. */
  usage: string
  /** What it is for. */
  summary: string
  options: readonly OptionRow[]
  examples: ReadonlyArray<readonly [command: string, what: string]>
}

const JSON_OPTION: OptionRow = { name: 'json', help: 'print one JSON object on stdout' }

/** All commands: help, parsing and dispatch read this table. */
export const COMMANDS: readonly CommandRow[] = [
  {
    name: 'record',
    usage: '[SOURCE] [options]',
    summary: 'record a source into an H.264 MP4, sound included',
    options: [
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        help: 'the file to write, .mp4 or .mov (default: beamline-recording.mp4)',
      },
      { name: 'duration', value: 'S', help: 'seconds to record (default: 5)' },
      { name: 'width', value: 'PX', help: 'width of the picture; what a file has is scaled' },
      { name: 'height', value: 'PX', help: 'height of the picture; one side alone keeps the shape' },
      {
        name: 'frame-rate',
        value: 'FPS',
        help: 'pictures per second; of a file with another rate, pictures are left out or repeated',
      },
      { name: 'bitrate', value: 'BITS', help: 'bits per second, as 4000000, 4000k or 4M (default: constant quality)' },
      {
        name: 'policy',
        value: 'NAME',
        help: 'block, drop-oldest, drop-newest or latest (default: latest when live, else block)',
      },
      { name: 'preset', value: 'NAME', help: "the encoder's preset, ultrafast to placebo" },
      {
        name: 'poster',
        value: 'FILE',
        help: 'a picture from the middle, .png or .jpg (default: the file with .png, or a free name beside it)',
      },
      { name: 'no-poster', help: 'no picture' },
      { name: 'fast', help: 'as fast as possible instead of at its own speed' },
      JSON_OPTION,
    ],
    examples: [
      ['beamline record', 'five seconds of what there is'],
      ['beamline record movie.mp4 -o part.mp4 --duration 10 --width 640', 'ten seconds of a file, smaller'],
      [
        'beamline record "pattern:ball?width=1920&height=1080&frameRate=60" --json',
        'a moving test picture, told as JSON',
      ],
    ],
  },
  {
    name: 'devices',
    usage: '[options]',
    summary: 'list what can be opened',
    options: [{ name: 'kind', value: 'KIND', help: 'only pattern, image, camera, network or shared' }, JSON_OPTION],
    examples: [['beamline devices --json', 'for programs']],
  },
  {
    name: 'doctor',
    usage: '[options]',
    summary: 'say what works here, what does not, and what to do',
    options: [JSON_OPTION],
    examples: [['beamline doctor', 'the first thing to run when something is wrong']],
  },
]

/** Exit codes of all commands. */
export const EXIT = {
  /** Done; also when Ctrl-C ended a recording: its file is complete. */
  ok: 0,
  /** It failed. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The source is not there, or cannot be read or decoded (to its end). */
  source: 3,
  /** The file, or the picture that was asked for, cannot be written. */
  target: 4,
} as const

/** The general help. */
export function generalHelp(): string {
  const width = Math.max(...COMMANDS.map((c) => c.name.length))
  return [
    'Usage: beamline COMMAND [options]',
    '',
    'Commands:',
    ...COMMANDS.map((c) => `  ${c.name.padEnd(width)}  ${c.summary}`),
    '',
    'beamline COMMAND --help tells more. --version prints the version.',
    '',
    exitHelp(),
  ].join('\n')
}

/** The help of one command. */
export function commandHelp(command: CommandRow): string {
  const label = (o: OptionRow) => `${o.short ? `-${o.short}, ` : '    '}--${o.name}${o.value ? ` ${o.value}` : ''}`
  const width = Math.max(...command.options.map((o) => label(o).length))
  return [
    `Usage: beamline ${command.name} ${command.usage}`,
    '',
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    '',
    'Options:',
    ...command.options.map((o) => `  ${label(o).padEnd(width)}  ${o.help}`),
    '',
    'Examples:',
    ...command.examples.map(([line, what]) => `  ${line}\n      ${what}`),
    '',
    exitHelp(),
  ].join('\n')
}

function exitHelp(): string {
  return 'Exit codes: 0 done, 1 failed, 2 wrong command line, 3 source not readable, 4 file not writable.'
}
