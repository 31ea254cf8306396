// Frames that wait, to JavaScript: METER SOURCE WIDTH HEIGHT FRAMES RUNS.
//
// The source fills a queue of 512 while this thread sleeps in `Atomics.wait`, so that the event loop does nothing outside the clock.
// (A sleep lets the caches go cold: a thread that wakes for 64 frames pays some 2 µs more for each, which is the wake's cost, measured
// by the row `wake`, and not the frame's.) Then the clock runs: a turn of `for await` for each frame that waits, touching one byte of `planes` and
// closing, and one turn of the event loop, in which finalizers and the garbage collector get their chance. The clock is the CPU of this
// thread alone: what wakes the producer is in it, what the producer does is not.
//
// A looped still (`%05d.jpg`) gives the same mapped picture again and again without writing to it, so that what is measured is the way
// to JavaScript and not caches that a producer has just filled with pixels; a `pattern:` draws each frame anew.
import { createRequire } from 'node:module'
import { setImmediate as turn } from 'node:timers/promises'
import { memory, openCapture, runtime } from '../../dist/index.js'

const [path, source, ...numbers] = process.argv.slice(2)
const [width, height, frames, runs] = numbers.map(Number)
const { threadCpuNs } = createRequire(import.meta.url)(path)

const cell = new Int32Array(new SharedArrayBuffer(4))
const doze = (ms) => Atomics.wait(cell, 0, 0, ms)

const drawn = source.startsWith('pattern:')
// What is drawn takes memory of its own.
const BURST = drawn ? 16 : 512
const own = drawn ? { width, height, counter: false, color: '#336699' } : { loop: true }
const capture = await openCapture(source, { ...own, live: false })
const { format } = capture
if (format.width !== width || format.height !== height) throw new Error(`${source} is ${format.width}×${format.height}`)
const stream = capture.frames({ queue: BURST, policy: 'block' })

/** Blocks this thread until frames wait and no more come (a producer that slept is woken at a quarter of a queue, so at least 5); how many. */
function fill() {
  for (let i = 0, before = -1; i < 10_000; i++) {
    const { waiting } = stream.stats()
    if (waiting === BURST || (waiting > BURST / 4 && waiting === before)) return waiting
    before = waiting
    doze(drawn && width > 1000 ? 8 : 1)
  }
  throw new Error(`only ${stream.stats().waiting} frames wait`)
}

const iterator = stream[Symbol.asyncIterator]()
let sum = 0
let left = 0
let spent = 0
const results = []
const copies = memory.stats().copies
let burst = fill()
let began = threadCpuNs()
for await (const frame of iterator) {
  sum += frame.planes[0].bytes[0]
  frame.close()
  left++
  if (--burst > 0) continue
  await turn()
  spent += threadCpuNs() - began
  if (left >= frames) {
    results.push(spent / left / 1000)
    left = 0
    spent = 0
    if (results.length > runs) break // the first is the warm-up
  }
  burst = fill()
  began = threadCpuNs()
}
results.shift()
const { bytes } = memory.stats()
console.log(
  JSON.stringify({ us: results, mode: runtime.zeroCopyMode, copies: memory.stats().copies - copies, bytes, sum }),
)
await capture.close()
