// The event loop's delay, p99 in ms, over SECONDS: while recording 1080p60 into OUT, or doing nothing when there is no OUT.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const [seconds, out, preset, threads] = process.argv.slice(2)
const delay = monitorEventLoopDelay({ resolution: 1 })
const told = () => ({ p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 })

/** After a second of warm-up. */
async function measure() {
  await sleep(1000)
  delay.enable()
  await sleep(seconds * 1000)
  delay.disable()
  return told()
}

if (!out) {
  console.log(JSON.stringify(await measure()))
} else {
  const { createOutput, openCapture } = await import('../../dist/index.js')
  const capture = await openCapture('pattern:ball', { width: 1920, height: 1080, frameRate: 60 })
  const output = await createOutput(out)
  const video = output.addVideo({ codec: 'h264', preset, threads: Number(threads), keyInterval: 60, frameRate: 60 })
  const result = measure()
  let done
  result.then((r) => (done = r))
  for await (const frame of capture) {
    await video.write(frame)
    frame.close()
    if (done) break
  }
  await output.close()
  const { frames } = output.stats()
  const { dropped, lost } = capture.stats()
  await capture.close()
  console.log(JSON.stringify({ ...done, frames, dropped, lost }))
}
