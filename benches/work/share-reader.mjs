// One reader of a share, in a process of its own: NAME QUEUE. Reads the counter that the pattern has burned into each picture; says what it saw
// between `start` and `stop` on stdin, as JSON.
import { createInterface } from 'node:readline'
import { memory, openCapture, runtime } from '../../dist/index.js'

const [name, queue] = process.argv.slice(2)
const CELL = 16

/** The first 32 bits of the block that the pattern burns in: the frame's number (`crates/capture/src/backends/pattern/counter.rs`). */
function numberOf({ bytes, stride }) {
  let number = 0
  for (let bit = 0; bit < 32; bit++) {
    const row = (bit >> 4) * CELL + CELL / 2
    const at = row * stride + (bit & 15) * CELL + CELL / 2
    number = number * 2 + (bytes[at] > 128 ? 1 : 0)
  }
  return number
}

const capture = await openCapture(`shared:${name}`, { policy: 'drop-oldest', queue: Number(queue) })
const now = () => Number(process.hrtime.bigint() / 1000n)
const marks = () => {
  const { captured, lost, dropped } = capture.stats()
  return { copies: memory.stats().copies, cpu: process.cpuUsage(), captured, lost, dropped }
}
let before
let seen
const begin = () => {
  before = marks()
  seen = { frames: 0, missing: 0, last: -1, lateUs: [] }
}

const input = createInterface({ input: process.stdin })
const stopped = new Promise((resolve) => {
  input.on('line', (line) => (line === 'start' ? begin() : resolve()))
  input.on('close', resolve) // the owner is gone
})
stopped.then(() => {
  // What it saw is fixed before the source ends: the last frames are not waited for.
  const { copies, cpu, captured, lost, dropped } = marks()
  const spent = process.cpuUsage(before.cpu)
  const late = seen.lateUs.sort((a, b) => a - b)
  console.log(
    JSON.stringify({
      pid: process.pid,
      mode: runtime.zeroCopyMode,
      frames: seen.frames,
      missing: seen.missing,
      captured: captured - before.captured,
      lost: lost - before.lost,
      dropped: dropped - before.dropped,
      copies: copies - before.copies,
      strayWrites: memory.stats().strayWrites,
      cpuMs: (spent.user + spent.system) / 1000,
      lateP50Us: late[Math.floor(late.length / 2)] ?? null,
      lateP99Us: late[Math.floor(late.length * 0.99)] ?? null,
    }),
  )
  process.exit()
})

begin()
console.log('reading')
for await (const frame of capture) {
  const number = numberOf(frame.planes[0])
  seen.lateUs.push(now() - frame.timestamp)
  frame.close()
  if (seen.last >= 0) seen.missing += number - seen.last - 1
  seen.last = number
  seen.frames++
}
await stopped
