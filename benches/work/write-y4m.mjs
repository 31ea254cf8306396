// Our moving pattern as a Y4M file, by our own hands: PATH FRAMES.
import { closeSync, openSync, writeSync } from 'node:fs'
import { openCapture } from '../../dist/index.js'

const [path, frames] = process.argv.slice(2)
const [width, height, frameRate] = [1920, 1080, 30]
const capture = await openCapture('pattern:ball', { width, height, frameRate, live: false, frames: Number(frames) })
const file = openSync(path, 'w')
writeSync(file, `YUV4MPEG2 W${width} H${height} F${frameRate}:1 Ip A1:1 C420jpeg\n`)
for await (const frame of capture) {
  const packed = new Uint8Array(frame.allocationSize())
  await frame.copyTo(packed)
  frame.close()
  writeSync(file, 'FRAME\n')
  writeSync(file, packed)
}
closeSync(file)
await capture.close()
