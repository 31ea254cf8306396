// A fragmented MP4 goes out while it is being encoded: every request gets two seconds of a test picture. Run it, then
// `curl -o live.mp4 http://127.0.0.1:PORT/`.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { createOutput, openCapture } from 'beamline'

const server = createServer((_request, response) => {
  response.setHeader('content-type', 'video/mp4')
  void send(response).catch((error: unknown) => response.destroy(error as Error))
})

async function send(response: Writable): Promise<void> {
  const capture = await openCapture('pattern:ball?width=320&height=180&frameRate=30&frames=60&live=false')
  const output = await createOutput(Writable.toWeb(response) as WritableStream<Uint8Array>)
  const video = output.addVideo({ codec: 'h264', latencyMode: 'realtime', frameRate: 30 })
  for await (const frame of capture) {
    await video.write(frame)
    frame.close()
  }
  await output.close()
  await capture.close()
}

server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`))
