// The table for people, and RESULTS.md.

const mark = (reached) => (reached === null ? '–' : reached ? 'yes' : 'NO')

/** One line a figure. */
export function table(results) {
  const lines = results.flatMap((row) =>
    row.error
      ? [[row.id, 'failed', '', 'NO', row.error.split('\n')[0]]]
      : row.figures.map(({ name, value, reached, note = '' }) => [row.id, name, value, mark(reached), note]),
  )
  const all = [['row', 'figure', 'value', 'reached', 'remark'], ...lines]
  const widths = [0, 1, 2, 3].map((i) => Math.max(...all.map((l) => l[i].length)))
  const body = all.map((l) =>
    l
      .map((cell, i) => (i < 4 ? cell.padEnd(widths[i]) : cell))
      .join('  ')
      .trimEnd(),
  )
  const loads = results.map(
    ({ id, load, others }) =>
      `${id}: load ${load.before.join(' ')} before, ${load.after.join(' ')} after` +
      `${load.stolenPercent ? `, ${load.stolenPercent} % stolen` : ''}` +
      `${others === undefined ? '' : `, others used ${others} cores at the start`}`,
  )
  return [...body, '', ...loads].join('\n')
}

const cell = (text) => text.replaceAll('|', '\\|')

/** `causes`: by row, why a figure was missed. */
export function markdown(results, causes) {
  const rows = results.flatMap(({ id, what, reach, figures, quick }) =>
    figures.map(({ name, value, reached, note = '' }, i) => {
      const cause = reached === false ? causes[id] && ` **Cause:** ${causes[id]}` : ''
      const first = i === 0 ? [cell(what), cell(reach)] : ['', '']
      return `| ${[...first, cell(name), `${value}${quick ? ' (quick)' : ''}`, mark(reached), cell(note + (cause || ''))].join(' | ')} |`
    }),
  )
  const circumstances = results.map(
    ({ id, commit, date, node, rust, ffmpeg, cpu, kernel, commands, load, others, notes = [], seconds }) =>
      [
        `### ${id}`,
        '',
        `commit ${commit}, ${date}, ${seconds} s; ${cpu}, Linux ${kernel}, node ${node}, ${rust}, ${ffmpeg}`,
        '',
        `load ${load.before.join(' ')} before, ${load.after.join(' ')} after, ${load.stolenPercent ?? 0} % stolen` +
          (others === undefined ? '' : `; others used ${others} cores at the start`),
        '',
        ...notes.flatMap((note) => [note, '']),
        '```sh',
        ...Object.entries(commands).map(([side, command]) => `# ${side}\n${command}`),
        '```',
      ].join('\n'),
  )
  return `${[
    '# Results',
    '',
    'Written by `npm run bench -- --write`; all runs stand in [results.json](results.json), one row a line.',
    '',
    'Absolute figures: pinned, warm, the least of 20 runs. Ratios: the median over rounds of ours against the mean of two runs of the',
    'peer beside it; the peer against itself is its second run of a round against its first. CPU is user + system of the whole process,',
    'Node’s start included. A figure inside the peer’s own upper quartile counts as reached.',
    '',
    '| what | reach | figure | value | reached | remark |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    '## Circumstances',
    '',
    circumstances.join('\n\n'),
  ].join('\n')}\n`
}
