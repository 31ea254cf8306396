// Passes over pictures from the owner of a share to two readers in processes of their own, counted by the engine on both sides: CLIP.
// A reader is this file again: `--read PLACE FRAMES`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { memory, openCapture, openInput, runtime } from '../../dist/index.js'

const FRAMES = 60
const READERS = 2

async function read(place, count) {
  const capture = await openCapture(`shared:${place}`, { policy: 'drop-oldest' })
  console.log('joined')
  let [frames, sum] = [0, 0]
  for await (const frame of capture) {
    for (const plane of frame.planes) sum += plane.bytes[0]
    frame.close()
    if (++frames === count) break
  }
  const { copies } = memory.stats()
  await capture.close()
  console.log(JSON.stringify({ frames, copies, sum }))
}

/** Readers of a share: they have joined when this settles; `done` gives what they say at their end. */
async function readers(place) {
  const all = await Promise.all(
    Array.from({ length: READERS }, async () => {
      const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--read', place, `${FRAMES}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let text = ''
      child.stdout.setEncoding('utf8').on('data', (data) => (text += data))
      await once(child.stdout, 'data')
      return async () => {
        await once(child, 'close')
        return JSON.parse(text.trim().split('\n').at(-1))
      }
    }),
  )
  return () => Promise.all(all.map((done) => done()))
}

async function counted(open) {
  const place = `/dev/shm/beamline-bench/copies-${process.pid}`
  const before = memory.stats().copies
  const { source, close } = await open()
  const share = await source.share(place)
  const done = await readers(place)
  const found = await done()
  await share.close()
  const owner = memory.stats().copies - before + (await close())
  const sum = (key) => found.reduce((all, reader) => all + reader[key], 0)
  return { frames: sum('frames'), owner, readers: sum('copies') }
}

const ways = {
  pattern: async () => {
    const source = await openCapture('pattern:ball', { width: 1920, height: 1080, frameRate: 60 })
    const close = async () => {
      const { copies } = source.stats()
      await source.close()
      return copies
    }
    return { source, close }
  },
  decoder: async (clip) => {
    const input = await openInput(clip)
    const close = async () => {
      await input.close()
      return 0
    }
    return { source: input.video.frames(), close }
  },
}

const args = process.argv.slice(2)
if (args[0] === '--read') await read(args[1], Number(args[2]))
else {
  const result = {}
  for (const [name, open] of Object.entries(ways)) result[name] = await counted(() => open(args[0]))
  console.log(JSON.stringify({ mode: runtime.zeroCopyMode, ways: result }))
}
