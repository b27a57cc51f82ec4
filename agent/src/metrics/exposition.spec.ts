import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { wrappedStore } from '@pbmkit/core'
import { Exposition } from './exposition.js'

const absent = Object.assign(new Error('it is not there'), { code: 'STORAGE_NOT_FOUND' })

describe('the text of metrics', () => {
  let exposition: Exposition
  beforeEach(() => {
    exposition = new Exposition()
  })
  afterEach(() => exposition.close())

  it('counts what is done at any storage of the process', async () => {
    const unused = () => Promise.reject(new Error('not here'))
    const answers = [Promise.reject(absent), Promise.reject(new Error('away')), Promise.resolve({ name: 'a', size: 1 })]
    for (const answer of answers) answer.catch(() => undefined)
    const store = {
      ...{ capabilities: {}, read: unused, list: unused, delete: unused, copy: unused },
      stat: () => answers.shift(),
      save: async (_name: string, body: AsyncIterable<Buffer>, options: { onProgress?: (bytes: number) => void }) => {
        let size = 0
        for await (const { length } of body) {
          size += length
          options.onProgress?.(size)
        }
        return { name: 'a', size }
      },
      close: async () => undefined,
    } as unknown as Parameters<typeof wrappedStore>[0]
    const open = wrappedStore(store, { signal: new AbortController().signal, warn: () => undefined })
    for (let call = 0; call < 3; call++) await open.stat('a').catch(() => undefined)
    await open.save(
      'a',
      (async function* () {
        yield Buffer.alloc(600)
        yield Buffer.alloc(400)
      })(),
    )
    const text = await exposition.text([])
    assert.match(text, /^pbmkit_storage_call_duration_seconds_count\{call="stat"\} 3$/m)
    assert.match(text, /^pbmkit_storage_errors_total\{call="stat"\} 1$/m)
    assert.match(text, /^pbmkit_storage_bytes_total\{call="save"\} 1000$/m)
    assert.match(text, /^pbmkit_storage_bytes_total\{call="read"\} 0$/m)
  })

  it('has nothing of what was so before, and no 0 where nothing is known', async () => {
    const up = { name: 'pbmkit_agent_up', labels: { replica_set: 'rs0', node: 'a"b\n:1' }, value: 1 } as const
    const before = await exposition.text([up, { name: 'pbmkit_pitr_enabled', labels: {}, value: 1 }])
    assert.match(before, /^pbmkit_agent_up\{replica_set="rs0",node="a\\"b\\n:1"\} 1$/m)
    assert.match(before, /^pbmkit_pitr_enabled 1$/m)
    assert.doesNotMatch(before, /^pbmkit_newest_restorable_timestamp_seconds \d/m)
    const after = await exposition.text([])
    assert.doesNotMatch(after, /^pbmkit_agent_up\{/m)
    assert.doesNotMatch(after, /^pbmkit_pitr_enabled \d/m)
  })

  it('is what Prometheus calls well-formed', async function () {
    const input = await exposition.text([{ name: 'pbmkit_agent_ready', labels: {}, value: 1 }])
    const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
    // Only where promtool is.
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') this.skip()
    const faults = stderr.split('\n').filter((line) => line.startsWith('pbmkit_'))
    assert.deepEqual([status === 0 || faults.length === 0, stdout, faults], [true, '', []])
  })
})
