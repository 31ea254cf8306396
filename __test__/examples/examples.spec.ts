// Every file of examples/ runs and does what it says. Not covered: newer Nodes running the TypeScript as it is.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../..', import.meta.url))
const clip = join(root, 'examples/media/big-buck-bunny-720p.mp4')
const built = (name: string) => join(root, 'build/examples', name)
let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'beamline-examples-'))
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'examples/tsconfig.json'], {
    cwd: root,
  })
})
after(() => rm(folder, { recursive: true, force: true }))

const packets = async (file: string, stream: string) => {
  const args = [
    '-v',
    'error',
    '-select_streams',
    stream,
    '-count_packets',
    '-show_entries',
    'stream=nb_read_packets',
    '-of',
    'csv=p=0',
  ]
  return Number((await run('ffprobe', [...args, file])).stdout.trim().replace(',', ''))
}

test('examples: every example has a test here', async () => {
  const files = (await readdir(join(root, 'examples'))).filter((f) => f.endsWith('.ts'))
  assert.deepEqual(files.sort(), ['contact-sheet.ts', 'processes.ts', 'remux.ts', 'serve.ts', 'worker.ts'])
})

test('examples: contact-sheet makes one picture per second', async () => {
  const { stdout } = await run(process.execPath, [built('contact-sheet.js'), clip, join(folder, 'sheet')])
  assert.equal(stdout.trim().split('\n').length, 6)
  for (const name of await readdir(join(folder, 'sheet'))) {
    const bytes = await readFile(join(folder, 'sheet', name))
    assert.equal(bytes.subarray(1, 4).toString(), 'PNG')
  }
})

test('examples: remux keeps every packet', async () => {
  const file = join(folder, 'out.mov')
  await run(process.execPath, [built('remux.js'), clip, file])
  for (const stream of ['v:0', 'a:0']) assert.equal(await packets(file, stream), await packets(clip, stream))
})

test('examples: worker measures every frame of the first second', async () => {
  const { stdout } = await run(process.execPath, [built('worker.js'), clip])
  const lines = stdout.trim().split('\n')
  assert.equal(lines.length, 25)
  for (const line of lines) assert.match(line, /^\d+ \d+\.\d$/)
})

test(
  'examples: processes records what one child makes of the frames of another process',
  { timeout: 60_000 },
  async () => {
    const file = join(folder, 'negative.mp4')
    const { stdout } = await run(process.execPath, [built('processes.js'), file, '2'])
    assert.match(stdout, /^filter true frames [1-9]\d* dropped \d+$/m)
    const filtered = Number(/^filtered (\d+) copies 0$/m.exec(stdout)?.[1])
    const recorded = Number(/^recorded (\d+) seconds \d+\.\d$/m.exec(stdout)?.[1])
    assert.ok(recorded >= 10 && recorded <= filtered, stdout)
    assert.equal(await packets(file, 'v:0'), recorded)
    // The ground is dark in the pattern, so it is bright here.
    const { stdout: mean } = await run(
      'ffmpeg',
      [...['-v', 'error', '-i', file, '-frames:v', '1', '-vf', 'format=gray,scale=1:1', '-f', 'rawvideo', '-']],
      { encoding: 'buffer' },
    )
    assert.ok((mean[0] ?? 0) > 128, `mean ${mean[0]}`)
  },
)

test('examples: serve sends a playable file while it is made', { timeout: 60_000 }, async () => {
  const server = spawn(process.execPath, [built('serve.js')], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = (await once(server.stdout, 'data')) as [Buffer]
    const chunks: Buffer[] = []
    const [response] = (await once(get(line.toString().trim()), 'response')) as [NodeJS.ReadableStream]
    for await (const chunk of response) chunks.push(chunk as Buffer)
    const file = join(folder, 'live.mp4')
    await (await import('node:fs/promises')).writeFile(file, Buffer.concat(chunks))
    assert.equal(await packets(file, 'v:0'), 60)
  } finally {
    server.kill()
    await once(server, 'exit')
  }
})
