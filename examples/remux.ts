// The packets of an MP4 as they are, into a MOV: node remux.ts [FROM] [TO]
import { createOutput, openInput } from 'beamline'

const [from = 'examples/media/big-buck-bunny-720p.mp4', to = 'remuxed.mov'] = process.argv.slice(2)
const input = await openInput(from)
const { video, audio } = input
if (!video || !audio) throw new Error(`${from} has no pictures or no sound`)
const output = await createOutput(to)
const pictures = output.addVideoChunks(video.decoderConfig)
const sound = output.addAudio(audio.decoderConfig)

// One after the other by time, as a muxer likes it; each write waits for room.
const sounds = audio.chunks()
let next = await sounds.next()
for await (const chunk of video.chunks()) {
  for (; !next.done && next.value.timestamp <= chunk.timestamp; next = await sounds.next())
    await sound.write(next.value)
  await pictures.write(chunk)
}
for (; !next.done; next = await sounds.next()) await sound.write(next.value)

console.log(to, await output.close())
await input.close()
