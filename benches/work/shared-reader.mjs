// Reads a share of which COUNT frames are always out: PLACE COUNT SECONDS. CPU of the whole process per frame, one byte of `planes` touched.
import { memory, openCapture, runtime } from '../../dist/index.js'

const [place, count, seconds] = process.argv.slice(2)
const WARM = 20_000

const capture = await openCapture(`shared:${place}?hold=${count}&policy=drop-oldest`)
let [frames, sum, before, end] = [0, 0, undefined, 0]
for await (const frame of capture.frames({ policy: 'drop-oldest', queue: Number(count) })) {
  sum += frame.planes[0].bytes[0]
  frame.close()
  frames++
  if (before === undefined) {
    if (frames < WARM) continue
    frames = 0
    before = process.cpuUsage()
    end = performance.now() + Number(seconds) * 1000
  } else if (frames % 64 === 0 && performance.now() > end) break
}
const { user, system } = process.cpuUsage(before)
const { copies } = memory.stats()
console.log(JSON.stringify({ us: (user + system) / frames, frames, copies, mode: runtime.zeroCopyMode, sum }))
await capture.close()
