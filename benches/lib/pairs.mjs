// Two sides in one run. Each round has the peer twice and ours once, in turning order; so one round gives a ratio of ours to the peer
// and a ratio of the peer to itself, under the same load.

export const sorted = (numbers) => [...numbers].sort((a, b) => a - b)

/** The `q`-quantile (0 … 1), between neighbours. */
export function quantile(numbers, q) {
  const all = sorted(numbers)
  const at = (all.length - 1) * q
  const [low, high] = [all[Math.floor(at)], all[Math.ceil(at)]]
  return low + (high - low) * (at - Math.floor(at))
}

export const median = (numbers) => quantile(numbers, 0.5)

/**
 * @template T
 * @param {number} count pairs
 * @param {() => Promise<T>} ours
 * @param {() => Promise<T>} peer
 * @returns {Promise<{ours: T[], peer: T[], again: T[]}>} by round
 */
export async function rounds(count, ours, peer) {
  const runs = { ours: [], peer: [], again: [] }
  const steps = [
    ['ours', ours],
    ['peer', peer],
    ['again', peer],
  ]
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 3; k++) {
      const [side, run] = steps[(i + k) % 3]
      runs[side].push(await run())
      process.stderr.write('.')
    }
  }
  process.stderr.write('\n')
  return runs
}

/**
 * The ratio of ours to the peer, over one number of each run, and what the peer differs from itself: the quartiles of its second run
 * in a round against the first. Inside the upper one a figure counts as reached.
 */
export function ratio(runs, pick) {
  // Against the mean of the two: neither stands nearer in time on average.
  const against = runs.ours.map((run, i) => pick(run) / ((pick(runs.peer[i]) + pick(runs.again[i])) / 2))
  const itself = runs.peer.map((run, i) => pick(runs.again[i]) / pick(run))
  return {
    median: median(against),
    itself: [quantile(itself, 0.25), quantile(itself, 0.75)],
    widest: [Math.min(...itself), Math.max(...itself)],
    ratios: against,
  }
}

/** Whether a ratio is reached, and its line. */
export function judge(name, { median: value, itself, widest }, limit) {
  const show = (n) => n.toFixed(3)
  const spread = Math.max(itself[1], 1 / itself[0])
  return {
    name,
    value: `${show(value)}×`,
    reached: value <= Math.max(limit, spread),
    note:
      `peer against itself ${itself.map(show).join('–')} (quartiles; ${widest.map(show).join('–')} at all)` +
      (value > limit && value <= spread ? ', so inside the spread' : ''),
  }
}
