// Decode, encode, MP4, the sound as it is: IN OUT PRESET THREADS KEY_INTERVAL. Nothing but the public API.
import { createOutput, memory, openInput } from '../../dist/index.js'

const [from, to, preset, threads, keyInterval] = process.argv.slice(2)
const input = await openInput(from)
const output = await createOutput(to)
const video = output.addVideo({
  codec: 'h264',
  preset,
  threads: Number(threads),
  keyInterval: Number(keyInterval),
  frameRate: input.video.frameRate ?? undefined,
})
if (input.audio) output.copy(input.audio)
for await (const frame of input.video.frames({ threads: Number(threads) })) {
  await video.write(frame)
  frame.close()
}
await output.close()
await input.close()
console.log(JSON.stringify({ ...output.stats(), allCopies: memory.stats().copies }))
