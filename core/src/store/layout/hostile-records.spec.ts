import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PbmError } from '../../errors.js'
import { FaultyStore } from '../wrappers/faulty-store.support.js'
import { fromStorageJson, fromStorageJsonGently, toStorageJson } from './backup-metadata.js'
import { readRecord } from './read-record.js'

const VALID = JSON.parse(
  JSON.stringify({
    ...{ name: 'b', type: 'logical', status: 'done', pbm_version: '2.15.0', compression: 's2', size: 1 },
    ...{ hb: { T: 1, I: 2 }, nss: ['a.b'], shardRemap: { a: 'b' }, store: { type: 'filesystem' }, n: [{ rs: 'a' }] },
    replsets: [
      {
        ...{ name: 'rs0', backup_name: 'b/rs0/metadata.json', oplog_name: 'b/rs0/oplog', mongod_opts: { a: 1 } },
        ...{ objects: [{ name: 'x', size: 1, crc: 'y' }], oplog_objects: [{ name: 'x', crc: 'y' }] },
        ...{ encryption: { type: 'aes-gcm', keyIds: ['a'] }, conditions: [{ status: 'done' }] },
      },
    ],
  }),
) as Record<string, unknown>

/** Puts `value` where the numbers lead. */
function changed(document: unknown, path: readonly number[], value: unknown): unknown {
  const [step = 0, ...rest] = path
  if (path.length === 0 || typeof document !== 'object' || document === null) return value
  const keys = Object.keys(document)
  const key = keys[step % Math.max(1, keys.length)] ?? 'name'
  const copy = structuredClone(document) as Record<string, unknown>
  copy[key] = changed(copy[key], rest, value)
  return copy
}

async function readBoth(text: string): Promise<void> {
  try {
    const document = fromStorageJson(text)
    assert.deepEqual(await fromStorageJsonGently(text), document)
    // What was read once is written, and read again.
    const { store, ...rest } = fromStorageJson(toStorageJson(document, { type: 's3' }))
    assert.deepEqual({ ...rest, store: document.store }, document)
    assert.deepEqual(store, { type: 's3' })
  } catch (error) {
    assert.ok(error instanceof PbmError, String(error))
    assert.equal(error.code, 'BACKUP_METADATA_INVALID')
  }
}

describe('The record of a backup that somebody has changed', () => {
  it('is read or refused, whatever stands where', async () => {
    const path = fc.array(fc.nat(20), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(path, fc.jsonValue(), async (at, value) => {
        await readBoth(JSON.stringify(changed(VALID, at, value)))
      }),
      { numRuns: 500 },
    )
  })

  it('is read or refused, whatever the text', async () => {
    const text = JSON.stringify(VALID)
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length), fc.nat(text.length), fc.string(), async (from, to, middle) => {
        await readBoth(text.slice(0, from) + middle + text.slice(to))
      }),
      { numRuns: 500 },
    )
  })

  it('is refused when it is nested without end', async () => {
    for (const depth of [200, 100_000, 1_000_000]) {
      const nested = `{"replsets":[{"mongod_opts":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}]}`
      await assert.rejects(fromStorageJsonGently(nested), { code: 'BACKUP_METADATA_INVALID' })
    }
  })

  const many = (count: number, value: unknown) => Array.from({ length: count }, () => value)
  const MANY: Record<string, object> = {
    'replica sets': { replsets: many(80_000, {}) },
    conditions: { replsets: [{ conditions: many(80_000, {}) }] },
    namespaces: { nss: many(300_000, '') },
    files: { replsets: [{ files: many(130_000, { a: 1 }) }] },
    'options of a storage': { store: { type: 'x', a: many(300_000, 1) } },
    'shards that were renamed': { shardRemap: Object.fromEntries(many(300_000, '').map((_, at) => [`k${at}`, 'x'])) },
    'keys that nobody knows': Object.fromEntries(many(300_000, '').map((_, at) => [`k${at}`, 1])),
  }
  for (const [what, more] of Object.entries(MANY)) {
    it(`is refused with ${what} without end, which would keep everybody else waiting`, async () => {
      const refused = { code: 'BACKUP_METADATA_INVALID', message: /more than 250000 values/ }
      await assert.rejects(fromStorageJsonGently(JSON.stringify({ ...VALID, ...more })), refused)
    })
  }

  it('is read with a thousand shards', async () => {
    const [replset] = VALID.replsets as object[]
    const conditions = many(8, { timestamp: 1, status: 'running' })
    const text = JSON.stringify({ ...VALID, replsets: many(1000, { ...replset, conditions }) })
    assert.equal((await fromStorageJsonGently(text)).replsets.length, 1000)
  })

  it('is refused by its name when no server could hold it', async () => {
    const store = new FaultyStore()
    store.chunkBytes = 1024 * 1024
    store.put('b.pbm.json', JSON.stringify({ ...VALID, error: 'x'.repeat(17 * 1024 * 1024) }))
    await assert.rejects(readRecord(store, 'b.pbm.json', {}), { code: 'OBJECT_TOO_LARGE', message: /b\.pbm\.json/ })
  })

  it('is refused with a text that no field has, and with keys without end in one', async () => {
    const refused = { code: 'BACKUP_METADATA_INVALID' }
    for (const error of ['x'.repeat(1_100_000), '"'.repeat(600_000)])
      await assert.rejects(fromStorageJsonGently(JSON.stringify({ ...VALID, error })), refused)
    const shardRemap = Object.fromEntries(many(11_000, '').map((_, at) => [`k${at}`, 'x']))
    await assert.rejects(fromStorageJsonGently(JSON.stringify({ ...VALID, shardRemap })), refused)
    await assert.rejects(fromStorageJsonGently(`${JSON.stringify(VALID)}${' '.repeat(1_100_000)}`), refused)
  })

  it('is read when it is large all the same', async () => {
    const files = Array.from({ length: 20_000 }, (_, index) => ({ filename: `collection-${index}.wt`, length: 0 }))
    const text = JSON.stringify({ ...VALID, replsets: [{ name: 'rs0', files }] })
    assert.deepEqual(await fromStorageJsonGently(text), fromStorageJson(text))
  })
})
