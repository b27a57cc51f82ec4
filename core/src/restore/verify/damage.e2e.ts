import assert from 'node:assert/strict'
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, fixturesFolder, snapshotState } from '@pbmkit/conformance/testbed'
import { type Document, UUID } from 'bson'
import { findRestore } from '../../control/restores.js'
import { errorText, type PbmError } from '../../errors.js'
import { type Bench, copyFixture, fixtureFolder, restoreCommand, startBench } from '../restore.support.js'
import { changeList, forgeList, forgeOplog } from './forge.support.js'

interface Damage {
  readonly what: string
  readonly expected: { readonly code: string; readonly names: RegExp }
  do(folder: string): Promise<void>
}

/** Each damage must be found, and named, before anything of the target is dropped. */
describe('Restore of a damaged backup', () => {
  if (fixturesFolder() === undefined) return
  let bench: Bench
  let name = ''

  before(async () => {
    bench = await startBench('pbm-codecs')
    const manifest = JSON.parse(await readFile(join(fixtureFolder('pbm-codecs'), 'manifest.json'), 'utf8')) as {
      snapshots: { name: string; compression: string }[]
    }
    name = manifest.snapshots.find(({ compression }) => compression === 'none')?.name ?? ''
    const encryption = { method: 'aes-gcm', keyCommand: 'true' }
    await bench.node
      .db('admin')
      .collection('pbmConfig')
      .insertOne({ storage: { type: 'filesystem' }, encryption })
    await bench.restore(name)
    // What must still be there afterwards, and would not be after a restore.
    await bench.node.db('shop').collection<{ _id: string }>('orders').insertOne({ _id: 'later' })
  })
  after(async () => {
    await bench?.stop()
  })

  const orders = (folder: string) => join(folder, name, 'rs0', 'shop.orders')
  const oplog = async (folder: string) => {
    const [piece] = await readdir(join(folder, name, 'rs0', 'oplog'))
    return join(folder, name, 'rs0', 'oplog', piece ?? '')
  }

  const damages: Damage[] = [
    {
      what: 'an object is missing',
      expected: { code: 'BACKUP_OBJECT_MISSING', names: /shop\.orders/ },
      do: async (folder) => rm(orders(folder)),
    },
    {
      what: 'an object is cut off inside a document',
      expected: { code: 'BACKUP_DAMAGED', names: /shop\.orders/ },
      do: async (folder) => truncate(orders(folder), 50_000),
    },
    {
      what: 'an object is empty',
      expected: { code: 'BACKUP_DAMAGED', names: /shop\.orders/ },
      do: async (folder) => truncate(orders(folder), 0),
    },
    {
      what: 'a byte of a document is altered',
      expected: { code: 'BACKUP_DAMAGED', names: /shop\.orders.*checksum/ },
      do: async (folder) => {
        const bytes = await readFile(orders(folder))
        bytes.writeUInt8((bytes[60] ?? 0) ^ 1, 60)
        await writeFile(orders(folder), bytes)
      },
    },
    {
      what: 'the oplog is cut off between two entries',
      expected: { code: 'BACKUP_DAMAGED', names: /oplog\/.* ends at/ },
      do: async (folder) => {
        const bytes = await readFile(await oplog(folder))
        await writeFile(await oplog(folder), bytes.subarray(0, bytes.readInt32LE(0)))
      },
    },
    {
      what: 'the oplog is gone',
      expected: { code: 'BACKUP_OBJECT_MISSING', names: /oplog/ },
      do: async (folder) => rm(await oplog(folder)),
    },
    {
      what: 'the list of namespaces is not JSON',
      expected: { code: 'BACKUP_DAMAGED', names: /metadata\.json/ },
      do: async (folder) => writeFile(join(folder, name, 'rs0', 'metadata.json'), '{"namespaces": ['),
    },
    {
      what: 'the list of namespaces is gone',
      expected: { code: 'BACKUP_OBJECT_MISSING', names: /metadata\.json/ },
      do: async (folder) => rm(join(folder, name, 'rs0', 'metadata.json')),
    },
    ...lists(() => name),
    ...['backup_name', 'oplog_name'].map((key) => ({
      what: `its record has the ${key} of another backup`,
      expected: { code: 'BACKUP_DAMAGED', names: /^2001\S+ is no object of backup/ },
      do: async (folder: string) => {
        const file = join(folder, `${name}.pbm.json`)
        const record = JSON.parse(await readFile(file, 'utf8')) as { replsets: Record<string, string>[] }
        for (const replset of record.replsets) replset[key] = replset[key]?.replace(name, '2001-01-01T00:00:00Z') ?? ''
        await writeFile(file, JSON.stringify(record))
      },
    })),
    {
      what: 'the oplog renames the configuration to a collection of its own',
      expected: { code: 'OPLOG_UNSUPPORTED', names: /pbmConfig/ },
      do: async (folder) => {
        const o = { renameCollection: 'admin.pbmConfig', to: 'admin.mine' }
        await forgeOplog(join(folder, name, 'rs0'), [{ op: 'c', ns: 'admin.$cmd', o }])
      },
    },
    {
      what: 'the oplog deletes whatever user it finds',
      expected: { code: 'OPLOG_UNSUPPORTED', names: /system\.users/ },
      do: async (folder) => {
        const o = { _id: { $gte: '' } }
        await forgeOplog(join(folder, name, 'rs0'), [{ op: 'd', ns: 'admin.system.users', o }])
      },
    },
    {
      what: 'the list has the UUID of a control collection',
      expected: { code: 'BACKUP_DAMAGED', names: /admin\.pbmConfig/ },
      do: async (folder) => {
        const uuid = (await uuidOf('pbmConfig')).toHexString(false)
        await forgeList(join(folder, name, 'rs0'), (namespaces) => {
          const first = namespaces.find(({ db, type }) => db === 'shop' && type === 'collection')
          if (first !== undefined) first.metadata = JSON.stringify({ ...JSON.parse(first.metadata), uuid })
        })
      },
    },
    {
      what: 'the list has a collection twice',
      expected: { code: 'BACKUP_DAMAGED', names: /twice/ },
      do: async (folder) =>
        forgeList(join(folder, name, 'rs0'), (namespaces) => void namespaces.push({ ...namespaces[0] })),
    },
  ]

  for (const damage of damages) {
    it(`is refused when ${damage.what}`, async () => {
      const clean = await copyFixture('pbm-codecs')
      const before = await snapshotState(bench.node)
      await damage.do(bench.folder)
      const command = restoreCommand(name).restore
      await assert.rejects(
        bench.restore(name, { command: { name: command.name } }),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, damage.expected.code)
          assert.match(error.message, damage.expected.names)
          return true
        },
      )
      const record = await findRestore(bench.leader, command.name)
      assert.equal(record?.status, 'error')
      assert.match(record?.error ?? '', /Nothing of the data was changed/)
      assert.deepEqual(compareStates(before, await snapshotState(bench.node)), [])
      await rm(join(bench.folder, name), { recursive: true })
      await cp(join(clean, name), join(bench.folder, name), { recursive: true })
      await cp(join(clean, `${name}.pbm.json`), join(bench.folder, `${name}.pbm.json`))
      await rm(clean, { recursive: true })
    })
  }

  /** What decides over the agents, and over who may do what. */
  async function guarded() {
    const admin = bench.node.db('admin')
    return {
      // Every restore gives it a new epoch.
      config: await admin
        .collection('pbmConfig')
        .find({}, { projection: { epoch: 0 } })
        .toArray(),
      version: await admin.collection('system.version').find().toArray(),
      uuids: [await uuidOf('pbmConfig'), await uuidOf('system.version'), await uuidOf('system.users')],
    }
  }

  async function uuidOf(collection: string, db = 'admin'): Promise<UUID> {
    const [found] = await bench.node.db(db).listCollections({ name: collection }).toArray()
    return (found as unknown as { info: { uuid: UUID } }).info.uuid
  }

  async function restoredFrom(forge: (folder: string) => Promise<void>): Promise<unknown> {
    const clean = await copyFixture('pbm-codecs')
    await forge(join(bench.folder, name, 'rs0'))
    try {
      return await bench.restore(name)
    } finally {
      await rm(join(bench.folder, name), { recursive: true })
      await cp(join(clean, name), join(bench.folder, name), { recursive: true })
      await rm(clean, { recursive: true })
    }
  }

  describe('that somebody has forged', () => {
    const evil = new UUID('44444444-4444-4444-8444-444444444444')
    const command = (o: Document, ui: UUID = evil) => ({ op: 'c', ns: 'admin.$cmd', ui, o })
    const change = (op: string, ns: string, ui: UUID, o: Document) => ({ op, ns, ui, o, o2: { _id: 'config' } })

    before(async () => {
      const encryption = { method: 'aes-gcm', keyCommand: 'true' }
      await bench.node
        .db('admin')
        .collection('pbmConfig')
        .insertOne({ storage: { type: 'filesystem' }, encryption })
    })

    it('does not reach the configuration by names', async () => {
      const before = await guarded()
      const insert = change('i', 'admin.evil', evil, { _id: 'config', encryption: { keyCommand: 'touch /tmp/x' } })
      const rename = (to: string, dropTarget: UUID) => command({ renameCollection: 'admin.evil', to, dropTarget })
      const create = command({ create: 'evil' })
      const [config, version] = [before.uuids[0] as UUID, before.uuids[1] as UUID]
      const inner = [create, insert, rename('admin.system.version', version)]
      const outcome = await restoredFrom(async (folder) => {
        await forgeOplog(folder, [
          ...[create, insert, rename('admin.pbmConfig', config)],
          { op: 'c', ns: 'admin.$cmd', o: { applyOps: inner } },
          // Takes by its UUID what another database has.
          ...[create, command({ renameCollection: 'admin.evil', to: 'admin.evil2', dropTarget: config })],
          command({ drop: 'evil2' }),
        ])
        await forgeList(folder, (namespaces) => {
          const [first] = namespaces.filter(({ db, type }) => db === 'shop' && type === 'collection')
          const metadata = JSON.stringify({ ...JSON.parse(first?.metadata ?? ''), uuid: undefined })
          const listed = new Set(namespaces.map(({ db, collection }) => `${db}.${collection}`))
          for (const collection of ['pbmConfig', 'pbmBackups.old', 'system.keys', 'system.buckets.pbmConfig']) {
            if (listed.has(`admin.${collection}`)) continue
            namespaces.push({ ...first, db: 'admin', collection, metadata, size: 0 })
          }
        })
      })
      assert.equal(outcome, 'done')
      assert.deepEqual(await guarded(), before)
      assert.equal(await bench.node.db('admin').collection('evil').countDocuments(), 0)
    })

    it('does not reach it by UUIDs', async () => {
      const before = await guarded()
      const [config, version, users] = before.uuids as [UUID, UUID, UUID]
      const forged = [
        [change('i', 'shop.items', version, { _id: 'config' }), 'REPLAY_INCOMPLETE'],
        [change('u', 'shop.items', users, { $set: { x: 1 } }), 'REPLAY_INCOMPLETE'],
        // Refused before anything is dropped, and not with the advice to move what has the UUID.
        ...[config, version, users, await uuidOf('transactions', 'config'), await uuidOf('startup_log', 'local')].map(
          (uuid) => [command({ create: 'evil' }, uuid), 'BACKUP_DAMAGED'] as const,
        ),
        [{ ...command({ create: 'evil' }, await uuidOf('transactions', 'config')), ns: 'config.$cmd' }, undefined],
      ] as const
      for (const [operation, code] of forged) {
        const restored = restoredFrom((folder) => forgeOplog(folder, [operation]))
        if (code === undefined) assert.equal(await restored, 'done')
        else
          await assert.rejects(restored, (error: PbmError) => error.code === code && !/rename/.test(errorText(error)))
        assert.deepEqual(await guarded(), before)
      }
    })
  })

  it('refuses a backup that nobody knows', async () => {
    await assert.rejects(bench.restore('2001-01-01T00:00:00Z'), { code: 'BACKUP_NOT_FOUND' })
  })

  it('refuses a backup that is not done', async () => {
    const file = join(bench.folder, `${name}.pbm.json`)
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replaceAll('"status": "done"', '"status": "error"'))
    await assert.rejects(bench.restore(name), { code: 'BACKUP_NOT_DONE' })
    await writeFile(file, text)
  })

  it('refuses a backup of another replica set', async () => {
    await assert.rejects(bench.restore(name, { command: { rsMap: { rs0: 'other' } } }), { code: 'RESTORE_REPLSETS' })
  })

  it('stops when it is told to, and says that the data is incomplete', async () => {
    const stop = new AbortController()
    const command = restoreCommand(name).restore
    const running = bench.restore(name, { signal: stop.signal, command: { name: command.name } })
    running.catch(() => undefined)
    for (;;) {
      const status = (await findRestore(bench.leader, command.name))?.status
      if (status === 'running' || status === 'dumpDone' || status === 'done') break
    }
    stop.abort(new Error('stopped by the test'))
    await assert.rejects(running, /stopped by the test/)
    const record = await findRestore(bench.leader, command.name)
    assert.equal(record?.status, 'error')
    assert.match(record?.error ?? '', /incomplete now: repeat the restore/)
    assert.equal(await bench.restore(name), 'done')
  })
})

/** What PBM has no checksum of. */
function lists(name: () => string): Damage[] {
  const listed = (what: string, names: RegExp, change: (namespaces: Document[]) => void): Damage => ({
    ...{ what, expected: { code: 'BACKUP_DAMAGED', names } },
    do: (folder) => changeList(join(folder, name(), 'rs0'), change),
  })
  const remove = (namespaces: Document[], isOne: (namespace: Document) => boolean) =>
    void namespaces.splice(namespaces.findIndex(isOne), 1)
  const orders = ({ db, collection }: Document) => db === 'shop' && collection === 'orders'
  return [
    listed('the list has no entry of an object', /shop\.orders/, (all) => remove(all, orders)),
    listed('the list has no entry of a view', /only one has/, (all) => remove(all, ({ type }) => type === 'view')),
    listed('a key of an index is altered', /indexes of "shop\.orders"/, (all) => {
      const found = all.find(orders)
      if (found !== undefined) found.metadata = found.metadata.replace('"$numberInt":"1"', '"$numberInt":"-1"')
    }),
    listed('an object is that of another backup', /^2001\S+ is no object of backup/, (all) => {
      const found = all.find(orders)
      if (found !== undefined) found.object = '2001-01-01T00:00:00Z/rs0/shop.orders'
    }),
    listed('the type of a collection is altered', /type of "shop\.orders"/, (all) => {
      const found = all.find(orders)
      if (found !== undefined) found.type = 'view'
    }),
    {
      ...listed('it has more users than fit into memory', /admin\.pbmRUsers more than/, (all) => {
        const found = all.find(({ collection }) => collection === 'pbmRUsers')
        if (found !== undefined) found.size = { $numberLong: '3000000000' }
      }),
      expected: { code: 'OBJECT_TOO_LARGE', names: /admin\.pbmRUsers more than/ },
    },
    listed('the size of a collection is none', /size|checksum/, (all) => {
      const found = all.find(orders)
      if (found !== undefined) found.size = { $numberLong: '0' }
    }),
  ]
}
