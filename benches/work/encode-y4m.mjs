// A Y4M file to H.264 in MP4: IN OUT PRESET THREADS KEY_INTERVAL.
import { createOutput, memory, openCapture } from '../../dist/index.js'

const [from, to, preset, threads, keyInterval] = process.argv.slice(2)
const capture = await openCapture(from, { live: false, loop: false })
const output = await createOutput(to)
const { frameRate } = capture.format
const video = output.addVideo({
  codec: 'h264',
  preset,
  threads: Number(threads),
  keyInterval: Number(keyInterval),
  frameRate,
})
for await (const frame of capture) {
  await video.write(frame)
  frame.close()
}
await output.close()
await capture.close()
console.log(JSON.stringify({ ...output.stats(), allCopies: memory.stats().copies }))
