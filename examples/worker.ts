// Frames in a worker_thread, without a copy: the main thread reads a file, the worker measures the pictures.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { openInput, VideoFrame, type VideoFrameToken } from 'beamline'

async function main(): Promise<void> {
  const worker = new Worker(new URL(import.meta.url))
  const input = await openInput(process.argv[2] ?? 'examples/media/big-buck-bunny-720p.mp4')
  for await (const frame of input.video?.frames({ to: 1_000_000 }) ?? []) {
    worker.postMessage(frame.toToken())
    frame.close()
    // One at a time: a token is good for five seconds.
    const [answer] = (await once(worker, 'message')) as [{ timestamp: number; mean: number }]
    console.log(answer.timestamp, answer.mean.toFixed(1))
  }
  await input.close()
  await worker.terminate()
}

function measure(token: VideoFrameToken): void {
  const frame = VideoFrame.fromToken(token)
  const bytes = frame.planes[0]?.bytes ?? new Uint8Array()
  let sum = 0
  for (let i = 0; i < bytes.length; i += 101) sum += bytes[i] ?? 0
  parentPort?.postMessage({ timestamp: frame.timestamp, mean: sum / Math.ceil(bytes.length / 101) })
  frame.close()
}

if (isMainThread) await main()
else parentPort?.on('message', measure)
