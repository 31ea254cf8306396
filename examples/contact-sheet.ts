// One picture per second of a file, as PNGs: node contact-sheet.ts [FILE] [FOLDER]
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeImage, openInput } from 'beamline'

const [file = 'examples/media/big-buck-bunny-720p.mp4', folder = 'contact-sheet'] = process.argv.slice(2)
await mkdir(folder, { recursive: true })
const input = await openInput(file)
const { video } = input
if (!video) throw new Error(`${file} has no pictures`)
const seconds = Math.ceil((input.duration ?? 0) / 1e6)
for (let second = 0; second < seconds; second++) {
  // The first frame whose end lies after `from`: the one that is on the screen at that time.
  for await (const frame of video.frames({ from: second * 1_000_000, threads: 1 })) {
    const name = join(folder, `${String(second).padStart(4, '0')}.png`)
    await writeFile(name, await encodeImage(frame))
    console.log(name, frame.timestamp)
    frame.close()
    break
  }
}
await input.close()
