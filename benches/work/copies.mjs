// Passes over pictures, counted by the engine itself, on the three ways through it: CLIP OUT_FOLDER.
import { createOutput, memory, openCapture, openInput, runtime } from '../../dist/index.js'

const [clip, folder] = process.argv.slice(2)
const copies = () => memory.stats().copies

async function counted(run) {
  const before = copies()
  const { frames, more = 0 } = await run()
  return { frames, copies: copies() - before + more, perFrame: (copies() - before + more) / frames }
}

async function into(output, frames) {
  const video = output.addVideo({ codec: 'h264', preset: 'ultrafast' })
  for await (const frame of frames) {
    await video.write(frame)
    frame.close()
  }
  await output.close()
  return output.stats()
}

const ways = {
  'decoder → JavaScript': async () => {
    const input = await openInput(clip)
    let frames = 0
    let sum = 0
    for await (const frame of input.video.frames()) {
      for (const plane of frame.planes) sum += plane.bytes[0]
      frame.close()
      frames++
    }
    await input.close()
    return { frames, sum }
  },
  'decoder → encoder': async () => {
    const input = await openInput(clip)
    const { frames } = await into(await createOutput(`${folder}/copies-a.mp4`), input.video.frames())
    await input.close()
    return { frames }
  },
  'pattern → encoder': async () => {
    const capture = await openCapture('pattern:ball', { width: 1280, height: 720, live: false, frames: 120 })
    const { frames } = await into(await createOutput(`${folder}/copies-b.mp4`), capture)
    const { copies: more } = capture.stats()
    await capture.close()
    return { frames, more }
  },
}
const result = {}
for (const [name, run] of Object.entries(ways)) result[name] = await counted(run)
console.log(JSON.stringify({ mode: runtime.zeroCopyMode, ways: result }))
