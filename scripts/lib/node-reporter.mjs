// A reporter for node:test that writes one JSON line for each real test: no suites, and not the wrapper Node makes around a file.
import { basename } from 'node:path'

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite') continue
    // A file that holds no test passes as a test called like the file: that is not a test. One that fails to load is.
    const wrapper = data.nesting === 0 && data.file !== undefined && basename(data.name) === basename(data.file)
    if (wrapper && type === 'test:pass') continue
    const skip = data.skip ?? data.todo
    const outcome = skip !== undefined ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed'
    const reason = typeof skip === 'string' && skip !== '' ? skip : undefined
    yield `${JSON.stringify({ outcome, name: data.name, file: data.file && basename(data.file), reason })}\n`
  }
}
