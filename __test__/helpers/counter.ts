// Reads the block that patterns burn into their pictures: `crates/capture/src/backends/pattern/counter.rs` has its layout.
import type { VideoFrame } from 'beamline'

/** What a block says. */
export interface Stamp {
  frame: number
  timestamp: number
}

/** Pixels per side of a cell; 0 when the picture is too small for a block. */
export function cellOf(width: number, height: number): number {
  if (width >= 512 && height >= 720) return 16
  if (width >= 128 && height >= 48) return 8
  return width >= 64 && height >= 24 ? 4 : 0
}

const STEP: Record<string, [offset: number, step: number]> = {
  yuyv: [0, 2],
  uyvy: [1, 2],
  rgba: [1, 4],
  rgbx: [1, 4],
  bgra: [1, 4],
  bgrx: [1, 4],
  rgb24: [1, 3],
  bgr24: [1, 3],
}

/** Bits below the highest eight of a sample of two bytes; undefined where samples are bytes. */
function lowBits(format: string): number | undefined {
  if (format === 'p010' || format === 'gray16') return 8
  return format.endsWith('p10') ? 2 : format.endsWith('p12') ? 4 : undefined
}

/** CRC-16/CCITT-FALSE over words, high byte first. */
function crc16(words: readonly number[]): number {
  let crc = 0xffff
  for (const byte of words.flatMap((w) => [w >> 8, w & 0xff])) {
    crc ^= byte << 8
    for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc
}

/** What the block in a picture says; undefined when there is none or its checksum is wrong. */
export function readCounter(frame: VideoFrame): Stamp | undefined {
  const { width, height } = frame.visibleRect ?? { width: 0, height: 0 }
  const plane = frame.planes[0]
  const cell = cellOf(width, height)
  if (!plane || cell === 0) return undefined
  const format = frame.pixelFormat ?? ''
  const low = lowBits(format)
  const [offset, step] = STEP[format] ?? [0, low === undefined ? 1 : 2]
  const words: number[] = []
  for (let row = 0; row < 6; row++) {
    let word = 0
    for (let column = 0; column < 16; column++) {
      let sum = 0
      for (let y = cell / 4; y < (cell * 3) / 4; y++) {
        for (let x = cell / 4; x < (cell * 3) / 4; x++) {
          const at = (row * cell + y) * plane.stride + offset + (column * cell + x) * step
          const byte = plane.bytes[at] ?? 0
          sum += low === undefined ? byte : (byte | ((plane.bytes[at + 1] ?? 0) << 8)) >> low
        }
      }
      word = (word << 1) | (sum / (cell / 2) ** 2 > 128 ? 1 : 0)
    }
    words.push(word)
  }
  if (crc16(words.slice(0, 5)) !== words[5]) return undefined
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = words
  return { frame: a * 65536 + b, timestamp: c * 2 ** 32 + d * 65536 + e }
}
