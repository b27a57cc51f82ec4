import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fixturesFolder } from '@pbmkit/conformance/testbed'
import { Ciphers } from '../encryption/ciphers.js'
import { PluginHost } from '../plugin-host/host.js'
import { openStore } from '../store/open.js'
import { bound } from '../store/open-store.js'
import { failure } from '../store/wrappers/faulty-store.support.js'
import type { VerifyScope } from './scope.js'
import { at, FIRST, StoredBackups } from './stored-backups.support.js'
import { type ListedStorage, type VerifyOptions, verifyStorage } from './verify.js'

const NAME = '2031-02-03T04:05:06Z'
const OTHER = '2031-02-04T04:05:06Z'

describe('verifying what is on a storage', () => {
  const context = { signal: new AbortController().signal, warn: () => undefined }
  const host = new PluginHost({ resolveFrom: import.meta.url })
  const ciphers = new Ciphers(host, undefined, context)
  let made: StoredBackups
  beforeEach(() => {
    made = new StoredBackups(host)
  })

  const verify = (scope: VerifyScope, more: Partial<VerifyOptions> = {}) =>
    verifyStorage(scope, {
      ...{ store: bound(made.store), host, ciphers, signal: context.signal, readData: 100, sample: () => true },
      progress: { phase: () => undefined, add: () => undefined },
      ...more,
    })
  const change = (object: string, bytes: (before: Buffer) => Buffer) => {
    const found = made.store.objects.get(object)
    assert.ok(found !== undefined, object)
    made.store.put(object, bytes(found.bytes))
  }
  const folder = { name: NAME, kind: 'folder', compression: 'zstd' } as const

  for (const name of ['pbm-codecs', 'pbm-pitr', 'pbm-sharded'])
    it(`finds all of ${name}, which PBM has made, right`, async function () {
      const fixtures = fixturesFolder()
      if (fixtures === undefined) return this.skip()
      const filesystem = { path: join(fixtures, name, 'storage') }
      const store = await openStore(host, { type: 'filesystem', filesystem }, context)
      try {
        const { result, backups, chunks } = await verify({ all: true }, { store })
        assert.equal(result, 'good', JSON.stringify([backups, chunks]))
        assert.deepEqual([backups.flatMap(({ notes }) => notes), chunks?.gaps ?? []], [[], []])
        assert.ok(
          backups.every(
            ({ objects, objectsRead, restorable }) => objectsRead > 0 && objectsRead <= objects && restorable === 'all',
          ),
        )
      } finally {
        await store.close()
      }
    })

  it('knows a truncated object by its size, without reading', async () => {
    await made.backup(folder)
    change(`${NAME}/rs0/shop.orders.zst`, (bytes) => bytes.subarray(0, -1))
    const { backups } = await verify({ backup: NAME }, { readData: 0, sample: () => false })
    const [found] = backups
    // The record and the list.
    assert.equal(found?.objectsRead, 2)
    assert.deepEqual([found?.result, found?.restorable, found?.lost], ['damaged', 'part', ['shop.orders']])
  })

  it('goes on behind a damage, and tells each with its place', async () => {
    await made.backup(folder)
    made.store.objects.delete(`${NAME}/rs0/shop.items.zst`)
    change(`${NAME}/rs0/shop.orders.zst`, (bytes) => Buffer.concat([bytes, Buffer.from('more')]))
    change(`${NAME}/rs0/metadata.json`, (bytes) => bytes)
    made.store.put(`${NAME}/rs0/stray`, 'x')
    const { backups } = await verify({ backup: NAME })
    const [found] = backups
    const told = (found?.damages ?? []).map(({ code, ns, offset }) => [code, ns, offset !== undefined])
    assert.deepEqual(told.sort(), [
      ['BACKUP_DAMAGED', 'shop.orders', true],
      ['BACKUP_OBJECT_MISSING', 'shop.items', false],
    ])
    assert.deepEqual(found?.notes, [`${NAME}/rs0/stray is in the folder, and not of the backup`])
  })

  it('takes what is deleted meanwhile for no damage', async () => {
    await made.backup(folder)
    made.store.fault = (call, { name }) => {
      // As a deletion does: the record first.
      if (call === 'read' && name.endsWith('shop.orders.zst')) {
        for (const object of [...made.store.objects.keys()])
          if (object.startsWith(NAME)) made.store.objects.delete(object)
      }
      return undefined
    }
    const { result, backups } = await verify({ backup: NAME })
    assert.deepEqual([result, backups[0]?.result], ['good', 'gone'])
  })

  it('tells a backup that is on the list of the cluster and not on the storage, unless it was deleted', async () => {
    await made.backup(folder)
    let isListed = true
    const listed: ListedStorage = { backups: [NAME, OTHER], isBackupListed: async () => isListed, chunks: undefined }
    const { backups } = await verify({ all: true }, { listed })
    assert.deepEqual(
      backups.map(({ name, result }) => [name, result]),
      [
        [NAME, 'good'],
        [OTHER, 'damaged'],
      ],
    )
    isListed = false
    const { result } = await verify({ all: true }, { listed })
    assert.equal(result, 'good')
    await assert.rejects(verify({ backup: OTHER }), { code: 'BACKUP_NOT_FOUND' })
    await assert.rejects(verify({ backup: '../elsewhere' }), { code: 'BACKUP_NOT_FOUND' })
  })

  it('fails with the fault of a storage that does not answer, which is no damage', async () => {
    await made.backup(folder)
    made.store.fault = (call, { name }) => (call === 'read' && name.endsWith('.zst') ? failure() : undefined)
    await assert.rejects(verify({ all: true }), { code: 'STORAGE_UNAVAILABLE' })
  })

  it('knows a missing chunk by its checksums, and a gap where there are none', async () => {
    await made.backup(folder)
    const names = await made.chunks('zstd', 4)
    const all = await verify({ chunks: true })
    assert.deepEqual([all.result, all.chunks?.ranges], ['good', [{ start: FIRST + 10, end: FIRST + 49 }]])
    const gone = names[2] ?? ''
    made.store.objects.delete(gone)
    const { result, chunks } = await verify({ chunks: true })
    assert.deepEqual([result, chunks?.damages.map(({ object }) => gone.startsWith(object))], ['damaged', [true]])
    assert.deepEqual(chunks?.ranges, [{ start: FIRST + 10, end: FIRST + 29 }])
    for (const name of [...made.store.objects.keys()])
      if (name.includes('/pbmkit.sums/')) made.store.objects.delete(name)
    const unknown = await verify({ chunks: true })
    assert.deepEqual(
      [unknown.result, unknown.chunks?.gaps],
      ['good', [{ rs: 'rs0', start: FIRST + 29, end: FIRST + 39 }]],
    )
  })

  it('takes checksums before the first chunk for what a retention of PBM has left', async () => {
    const [first = ''] = await made.chunks('zstd', 3)
    made.store.objects.delete(first)
    assert.equal((await verify({ chunks: true })).result, 'good')
  })

  it('reads what a time takes, and nothing else', async () => {
    await made.backup(folder)
    const names = await made.chunks('zstd', 4)
    change(names[3] ?? '', () => Buffer.from('broken'))
    const { result, backups, chunks } = await verify({ time: at(FIRST + 25, 0) })
    assert.deepEqual([result, backups.length, chunks?.objects], ['good', 1, 2])
    await assert.rejects(verify({ time: at(FIRST + 99, 0) }), { code: 'RESTORE_TIME' })
    assert.equal((await verify({ chunks: true, since: FIRST + 45 })).result, 'damaged')
  })

  it('starts from a physical backup too, as a restore to a time does', async () => {
    await made.backup({ ...folder, kind: 'physical' })
    await made.chunks('zstd', 2)
    const { result, backups, chunks } = await verify({ time: at(FIRST + 25, 0) })
    assert.deepEqual([result, backups.length, chunks?.ranges.length], ['good', 1, 1])
  })

  it('finds what is wrong in a chunk without checksums, as PBM has them', async () => {
    const names = await made.chunks('none', 3)
    for (const name of [...made.store.objects.keys()])
      if (name.includes('/pbmkit.sums/')) made.store.objects.delete(name)
    const wrong: ((bytes: Buffer) => Buffer)[] = [
      (bytes) => bytes.subarray(0, bytes.lastIndexOf('ts') - 5),
      (bytes) => Buffer.concat([bytes, bytes]),
      // The name of a field ends too early.
      (bytes) => Buffer.from(bytes.toString('latin1').replace('_id', '_\0d'), 'latin1'),
    ]
    for (const damage of wrong) {
      const before = made.store.objects.get(names[1] ?? '')?.bytes ?? Buffer.alloc(0)
      change(names[1] ?? '', damage)
      assert.equal((await verify({ chunks: true })).result, 'damaged')
      change(names[1] ?? '', () => before)
    }
  })
})
