// Frames between processes, without a copy: this one has the camera, a child turns its pictures into negatives, another records them.
//
//   node processes.ts [FILE] [SECONDS]
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createOutput, openCapture } from 'beamline'

const me = fileURLToPath(import.meta.url)
// Several of these may run at once: names of shares are the user's.
const [camera, negative] = [`camera-${process.pid}`, `negative-${process.pid}`]

async function parent(file = 'negative.mp4', seconds = '3'): Promise<void> {
  const capture = await openCapture('pattern:ball?width=640&height=360&frameRate=30')
  const share = await capture.share(camera)

  const filtering = fork(me, ['--filter', camera, negative])
  await ready(filtering)
  const recording = fork(me, ['--record', negative, file])
  await ready(recording)

  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000))
  const [reader] = share.clients
  console.log('filter', reader?.pid === filtering.pid, 'frames', reader?.granted, 'dropped', reader?.dropped)

  // The end travels along: the filter ends its share, the recorder completes its file.
  const ended = Promise.all([once(filtering, 'exit'), once(recording, 'exit')])
  await share.close()
  await capture.close()
  process.exitCode = (await ended).some(([code]) => code !== 0) ? 1 : 0
}

/** A child that reads from a share says so, or ends with an error. */
async function ready(child: ChildProcess): Promise<void> {
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`a child ended with ${code}`)
  })
  await Promise.race([once(child, 'message'), failed])
}

async function filter(from: string, to: string): Promise<void> {
  const source = await openCapture(`shared:${from}`)
  const output = await createOutput(`shared:${to}`)
  const { width, height } = source.format
  const video = output.addVideo({ width, height, frameRate: source.format.frameRate ?? 30 })
  process.send?.('ready')
  for await (const frame of source) {
    // In the output's own memory: what is drawn here is what readers see.
    const drawn = await video.frame({
      timestamp: frame.timestamp,
      duration: frame.duration,
      colorSpace: frame.colorSpace,
    })
    for (const [i, { bytes, stride }] of frame.planes.entries()) {
      const to = drawn.planes[i]
      for (let y = 0; to && y * stride < bytes.length; y++) {
        const row = bytes.subarray(y * stride, y * stride + Math.min(stride, to.stride))
        to.bytes.set(
          row.map((sample) => 255 - sample),
          y * to.stride,
        )
      }
    }
    frame.close()
    await video.write(drawn)
    drawn.close()
  }
  console.log('filtered', output.stats().frames, 'copies', output.stats().copies)
  await output.close()
  await source.close()
}

async function record(from: string, file: string): Promise<void> {
  const source = await openCapture(`shared:${from}`, { policy: 'drop-oldest' })
  const output = await createOutput(file)
  const video = output.addVideo({ codec: 'h264', latencyMode: 'realtime' })
  process.send?.('ready')
  for await (const frame of source) {
    await video.write(frame)
    frame.close()
  }
  const { duration } = await output.close()
  console.log('recorded', output.stats().frames, 'seconds', (duration / 1e6).toFixed(1))
  await source.close()
}

const [first, ...rest] = process.argv.slice(2) as [string?, string?, string?]
if (first === '--filter') await filter(rest[0] ?? '', rest[1] ?? '')
else if (first === '--record') await record(rest[0] ?? '', rest[1] ?? '')
else await parent(first, rest[0])
