// MD5 of every decoded picture, packed, one a line: IN.
import { createHash } from 'node:crypto'
import { openInput } from '../../dist/index.js'

const input = await openInput(process.argv[2])
const sums = []
for await (const frame of input.video.frames()) {
  const packed = new Uint8Array(frame.allocationSize())
  await frame.copyTo(packed)
  frame.close()
  sums.push(createHash('md5').update(packed).digest('hex'))
}
await input.close()
console.log(JSON.stringify({ sums }))
