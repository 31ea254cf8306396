// One frame into an idle loop, against a bare ThreadsafeFunction, block by block in turn: METER WAKES BLOCKS.
//
// Both: a thread sleeps 1 ms, takes CLOCK_MONOTONIC and pushes; the first line of the consumer takes it again. For the frame the stamp is
// taken in the capture source (benches/native/stamped), right before the capture thread pushes what `next` has returned, so that the
// cost of the push itself is within; for the ThreadsafeFunction right before `napi_call_threadsafe_function`.
import { createRequire } from 'node:module'
import { openCapture } from '../../dist/index.js'

const [path, wakes, blocks] = process.argv.slice(2).map((a, i) => (i ? Number(a) : a))
const { monotonicNs, ringBare } = createRequire(import.meta.url)(path)

const middle = (numbers) => Float64Array.from(numbers).sort()[numbers.length >> 1]

function bare(count) {
  return new Promise((resolve) => {
    const took = []
    ringBare(
      (stamp) => {
        const now = monotonicNs()
        if (stamp < 0) resolve(took)
        else took.push(now - stamp)
      },
      count,
      1000,
    )
  })
}

const capture = await openCapture('stamped:1000')

async function frames(count) {
  const took = []
  for await (const frame of capture) {
    const now = monotonicNs()
    took.push(now - frame.timestamp)
    frame.close()
    if (took.length === count) return took
  }
}

await bare(500)
await frames(500)
const result = { frame: [], bare: [], again: [] }
const steps = [
  ['frame', frames],
  ['bare', bare],
  ['again', bare],
]
for (let i = 0; i < blocks; i++) {
  for (let k = 0; k < 3; k++) {
    const [name, run] = steps[(i + k) % 3]
    result[name].push(middle(await run(wakes)) / 1000)
  }
}
console.log(JSON.stringify(result))
await capture.close()
