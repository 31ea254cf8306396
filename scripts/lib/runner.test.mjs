// The runner itself: what it counts, what it lets pass, what it chooses to install.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atLeast } from '../setup.mjs'
import { judge } from '../test.mjs'
import { libclangPackage, osRelease } from './apt.mjs'
import { cargoTest, nextest, nodeTests, withExit } from './counts.mjs'
import { linesWithoutTests } from './rust-source.mjs'

const suite = { name: 'node' }
const counts = (passed, failed, skipped = []) => ({ passed, failed, skipped })

test('a suite without a test fails, unless it may be empty', () => {
  assert.equal(judge(suite, counts(0, 0), { ci: false, expected: [] }).failed, 1)
  assert.equal(judge({ ...suite, mayBeEmpty: true }, counts(0, 0), { ci: false, expected: [] }).failed, 0)
})

test('in CI a skip fails unless it is listed', () => {
  const skipped = [{ name: 'camera', reason: 'no device' }]
  assert.equal(judge(suite, counts(1, 0, skipped), { ci: false, expected: [] }).failed, 0)
  assert.equal(judge(suite, counts(1, 0, skipped), { ci: true, expected: [] }).failed, 1)
  assert.equal(
    judge(suite, counts(1, 0, skipped), { ci: true, expected: [{ suite: 'node', name: 'camera', why: 'x' }] }).failed,
    0,
  )
})

test('failed tests are counted once', () => {
  assert.equal(judge(suite, counts(3, 2), { ci: true, expected: [] }).failed, 2)
})

test('nextest’s summary is read, time-outs and colours included', () => {
  const line =
    '     \x1b[32mSummary\x1b[0m [   1.2s] 12/14 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 2 skipped'
  assert.deepEqual(nextest(line), counts(9, 3))
  assert.deepEqual(nextest('error: could not compile'), counts(0, 0))
})

test('cargo test’s lines are summed up', () => {
  const output = [
    'test a ... ok',
    'test b ... ignored, no camera',
    'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out',
    'test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out',
  ].join('\n')
  assert.deepEqual(cargoTest(output), counts(4, 2, [{ name: 'b', reason: 'no camera' }]))
})

test('node’s lines are counted', () => {
  const lines = [
    { outcome: 'passed', name: 'a', file: 'x.spec.js' },
    { outcome: 'skipped', name: 'b', file: 'x.spec.js', reason: 'why' },
    { outcome: 'failed', name: 'c', file: 'x.spec.js' },
  ]
  assert.deepEqual(
    nodeTests(lines.map((line) => JSON.stringify(line)).join('\n')),
    counts(1, 1, [{ name: 'x.spec.js: b', reason: 'why' }]),
  )
})

test('a runner that falls over has failed', () => {
  assert.equal(withExit(counts(0, 0), 101).failed, 1)
  assert.equal(withExit(counts(5, 2), 1).failed, 2)
  assert.equal(withExit(counts(5, 0), 0).failed, 0)
})

test('versions are compared by number', () => {
  assert.ok(atLeast('20.17.0', '20.17.0'))
  assert.ok(atLeast('22.3.0', '20.17.0'))
  assert.ok(!atLeast('20.9.0', '20.17.0'))
  assert.ok(atLeast('1.97.0-nightly', '1.88.0'))
})

test('libclang: 14 on Debian 12, the newest elsewhere', () => {
  assert.equal(libclangPackage(osRelease('ID=debian\nVERSION_ID="12"\n')), 'libclang1-14')
  const found = () => 'libclang1-9 - x\nlibclang1-19 - x\nlibclang1-21 - x'
  assert.equal(libclangPackage(osRelease('ID=debian\nVERSION_ID="13"\n'), found), 'libclang1-21')
  assert.equal(
    libclangPackage(osRelease('ID=debian\n'), () => null),
    'libclang-dev',
  )
})

test('inline tests do not count as lines, a module of tests in a file of its own is one line', () => {
  assert.equal(linesWithoutTests('fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { let _ = "}"; }\n}\n'), 1)
  assert.equal(
    linesWithoutTests('fn a() {}\n#[cfg(all(test, not(loom)))]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n'),
    3,
  )
  assert.equal(linesWithoutTests('fn a() {}\n#[cfg(test)]\nmod tests;\n'), 3)
})
