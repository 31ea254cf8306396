import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { BeamlineError, type ChunksOptions, type InputSource, memory, openCapture, openInput } from 'beamline'
import { files, root, scratch } from '../helpers/media.js'
import { nothingIsHeld, until } from '../helpers/memory.js'

const path = files.tiny()
const bytes = new Uint8Array(readFileSync(path))
const folder = scratch()

async function count(source: InputSource): Promise<number> {
  await using input = await openInput(source)
  let n = 0
  for await (const frame of input.video!.frames()) {
    frame.close()
    n++
  }
  return n
}

describe('openInput: a path, a URL, bytes, a Blob and { size, read } give the same pictures', () => {
  const sources: Record<string, () => InputSource> = {
    path: () => path,
    'file: URL': () => pathToFileURL(path),
    'file: URL as text': () => pathToFileURL(path).href,
    Uint8Array: () => bytes,
    ArrayBuffer: () => bytes.slice().buffer,
    Blob: () => new Blob([bytes]),
    'read, synchronous': () => ({ size: bytes.length, read: (at: number, n: number) => bytes.subarray(at, at + n) }),
    'read, a turn of the event loop later': () => ({
      size: bytes.length,
      read: (at: number, n: number) =>
        new Promise<Uint8Array>((resolve) => setImmediate(() => resolve(bytes.slice(at, at + n)))),
    }),
    'read, short': () => ({
      size: bytes.length,
      read: async (at: number, n: number) => bytes.subarray(at, at + Math.min(n, 777)),
    }),
  }
  for (const [name, source] of Object.entries(sources)) {
    test(name, async () => assert.equal(await count(source()), 25))
  }
})

test('read: nothing where the size promises bytes is said so', async () => {
  const nothing = { size: 1e6, read: () => new Uint8Array() }
  await assert.rejects(openInput(nothing), (e) => {
    assert.ok(e instanceof BeamlineError)
    assert.equal(e.reason, 'read-failed')
    assert.match(e.message, /bytes from read\(\) at offset 0, since the size is 1000000, but received none/)
    return true
  })
  const ends = {
    size: bytes.length,
    read: (at: number, n: number) => bytes.subarray(Math.min(at, 1000), Math.min(at + n, 1000)),
  }
  await assert.rejects(openInput(ends), { reason: 'read-failed', message: /at offset 1000/ })
})

test('close(): no thread of ours and no file is left when it settles', async () => {
  const open = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === path
      } catch {
        return false // the one that read the folder
      }
    })
  for (let k = 0; k < 60; k++) {
    const input = await openInput(path)
    if (k % 3 > 0)
      for await (const frame of input.video!.frames()) {
        frame.close()
        if (k % 3 === 1) break
      }
    await input.close()
    assert.deepEqual([memory.stats().threads, open()], [0, []], `round ${k}`)
    const capture = await openCapture('pattern:ball?width=64&height=64&live=false')
    for await (const frame of capture) {
      frame.close()
      break
    }
    await capture.close()
    assert.equal(memory.stats().threads, 0, `capture, round ${k}`)
  }
})

test('read: a failing one is a typed error that says its words, at opening and later', async () => {
  const fire = new Error('the disk is on fire')
  await assert.rejects(openInput({ size: 1000, read: () => Promise.reject(fire) }), (e) => {
    assert.ok(e instanceof BeamlineError)
    assert.match(e.message, /disk is on fire/)
    assert.deepEqual([e.code, e.reason], ['Data', 'read-failed'])
    assert.equal(e.cause, fire)
    return true
  })
  const gone = new Error('gone')
  let failing = false
  const read = (at: number, n: number) => {
    if (failing) throw gone
    return bytes.subarray(at, at + Math.min(n, 512))
  }
  await using input = await openInput({ size: bytes.length, read })
  failing = true
  const loop = (async () => {
    for await (const frame of input.video!.frames()) frame.close()
  })()
  await assert.rejects(loop, (e) => e instanceof BeamlineError && /gone/.test(e.message) && e.cause === gone)
  await assert.rejects(input.video!.chunks().next(), { reason: 'read-failed', cause: gone })
})

describe('read: an answer that cannot be is a typed error that says what was expected', () => {
  const answers: ReadonlyArray<readonly [string, (n: number) => unknown, RegExp]> = [
    ['too many bytes', (n) => new Uint8Array(n + 1), /at most (\d+) bytes from read\(\) but received \d+ bytes/],
    ['a string', () => 'bytes', /a Uint8Array.*from read\(\) but received 'bytes'/],
    ['nothing', () => undefined, /from read\(\) but received undefined/],
    ['an array', () => [1, 2], /from read\(\) but received an instance of Array/],
  ]
  for (const [name, answer, words] of answers) {
    test(name, async () => {
      const read = (_: number, n: number) => answer(n) as Uint8Array
      await assert.rejects(openInput({ size: 1000, read }), (e) => {
        assert.ok(e instanceof BeamlineError, String(e))
        assert.deepEqual([e.code, e.reason], ['Data', 'read-failed'], e.message)
        assert.match(e.message, words)
        return true
      })
    })
  }
})

describe('frames(), chunks(), openInput(): options that cannot be are refused with words', () => {
  const frames: ReadonlyArray<readonly [object, RegExp]> = [
    [{ threads: -3.5 }, /1 to 256 for 'threads' but received -3\.5/],
    [{ threads: 1e9 }, /1 to 256/],
    [{ queue: 0 }, /1 to 1024/],
    [{ policy: 'newest' }, /drop-oldest.*newest/],
    [{ pace: 'slow' }, /'realtime' or 'fast'.*slow/],
    [{ from: 0.5 }, /microseconds for 'from' but received 0\.5/],
    [{ to: '7' }, /microseconds for 'to' but received '7'/],
    [{ timeoutMs: -1 }, /milliseconds/],
    [{ signal: 5 }, /AbortSignal.*5/],
  ]
  const refused = (words: RegExp) => ({ name: 'BeamlineError', code: 'InvalidConfig', message: words })
  for (const [options, words] of frames) {
    test(JSON.stringify(options), async () => {
      await using input = await openInput(path)
      assert.throws(() => input.video!.frames(options), refused(words))
      if ('from' in options || 'to' in options || 'signal' in options)
        assert.throws(() => input.audio!.chunks(options as ChunksOptions), refused(words))
    })
  }
  test('openInput', async () => {
    await assert.rejects(openInput(path, { recover: 'yes' as unknown as boolean }), refused(/true or false.*'yes'/))
    await assert.rejects(openInput(path, { signal: {} as AbortSignal }), refused(/AbortSignal/))
    await assert.rejects(openInput(path, null as unknown as object), refused(/an object.*null/))
  })
})

test('openInput, openCapture: a file that is not there is the same error with the same hint', async () => {
  const caught = (opening: Promise<unknown>) =>
    opening.then(
      () => assert.fail('opened'),
      (e: BeamlineError) => e,
    )
  const [file, capture] = await Promise.all([caught(openInput('nope.mp4')), caught(openCapture('nope.y4m'))])
  for (const error of [file, capture]) assert.deepEqual([error.code, error.reason], ['NotFound', 'no-such-file'])
  assert.match(file.hint ?? '', /spelling/)
  assert.equal(capture.hint, file.hint)
})

test('read that never answers: opening is cancelled by its signal, with the reason', async () => {
  const abort = new AbortController()
  const reason = new Error('too slow')
  let asked = false
  const read = () => {
    asked = true
    return new Promise<Uint8Array>(() => undefined)
  }
  const opening = openInput({ size: 1000, read }, { signal: abort.signal })
  await until(() => asked, 'a read')
  abort.abort(reason)
  await assert.rejects(opening, (e) => e === reason)
  await until(() => memory.stats().threads === 0, 'no thread')
})

test('read that hangs later: close() settles all the same, the loop ends quietly', async () => {
  let hang = false
  let hanging = false
  const read = (at: number, n: number) => {
    if (!hang) return bytes.slice(at, at + Math.min(n, 2048))
    hanging = true
    return new Promise<Uint8Array>(() => undefined)
  }
  const input = await openInput({ size: bytes.length, read })
  hang = true
  const loop = (async () => {
    for await (const frame of input.video!.frames()) frame.close()
    return 'quiet'
  })()
  await until(() => hanging, 'a read that hangs')
  const begin = performance.now()
  await input.close()
  const ms = performance.now() - begin
  console.log(`# close() took ${ms.toFixed(1)} ms`)
  assert.ok(ms < 1000)
  assert.equal(await loop, 'quiet')
})

test('openInput: an aborted signal rejects before anything is read', async () => {
  const read = () => assert.fail('read')
  await assert.rejects(openInput({ size: 10, read }, { signal: AbortSignal.abort('no') }), (e) => e === 'no')
})

describe('openInput: a typed error that says what was expected', () => {
  const empty = join(folder, 'empty.mp4')
  const text = join(folder, 'notes.mp4')
  writeFileSync(empty, '')
  writeFileSync(text, 'this is no film, however often one says so. '.repeat(200))
  const table: ReadonlyArray<readonly [string, () => InputSource, string, string]> = [
    ['no video', () => text, 'Data', 'not-media'],
    ['a program', () => join(root, 'package.json'), 'Data', 'not-media'],
    ['an empty file', () => empty, 'Data', 'not-media'],
    ['no bytes', () => new Uint8Array(0), 'Data', 'not-media'],
    ['no such file', () => join(folder, 'nothing.mp4'), 'NotFound', 'no-such-file'],
    ['a folder', () => folder, 'InvalidConfig', 'is-a-directory'],
    ['an http URL', () => 'http://example.org/film.mp4', 'InvalidConfig', 'invalid-argument'],
    ['an http URL object', () => new URL('http://example.org/film.mp4'), 'InvalidConfig', 'invalid-argument'],
    ['a number', () => 5 as unknown as string, 'InvalidConfig', 'invalid-argument'],
    ['{ size } without read', () => ({ size: 5 }) as InputSource, 'InvalidConfig', 'invalid-argument'],
    ['{ size: −1 }', () => ({ size: -1, read: () => bytes }), 'InvalidConfig', 'invalid-argument'],
  ]
  for (const [name, source, code, reason] of table) {
    test(name, async () => {
      await assert.rejects(openInput(source()), (e) => {
        assert.ok(e instanceof BeamlineError, String(e))
        assert.deepEqual([e.code, e.reason], [code, reason], e.message)
        return true
      })
    })
  }
})

test('a closed input: new loops are an InvalidState; close() again is the first close()', async () => {
  const input = await openInput(path)
  const closing = input.close()
  assert.equal(input.close(), closing)
  await closing
  assert.equal(input.closed, true)
  assert.throws(() => input.video!.frames()[Symbol.asyncIterator](), { name: 'BeamlineError', code: 'InvalidState' })
})

test('sources: after everything here no slot is live, no frame is open, no thread runs', async () => {
  await nothingIsHeld()
  await until(() => memory.stats().threads === 0, 'no thread')
})
