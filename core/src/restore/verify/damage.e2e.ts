import assert from 'node:assert/strict'
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, fixturesFolder, snapshotState } from '@pbmkit/conformance/testbed'
import { findRestore } from '../../control/restores.js'
import { type Bench, copyFixture, fixtureFolder, restoreCommand, startBench } from '../restore.support.js'

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
      await rm(clean, { recursive: true })
    })
  }

  it('refuses a backup that nobody knows', async () => {
    await assert.rejects(bench.restore('2001-01-01T00:00:00Z'), { code: 'BACKUP_UNKNOWN' })
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
