import assert from 'node:assert/strict'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareStates, fixturesFolder, PBM_USER, snapshotState } from '@pbmkit/conformance/testbed'
import { readMetadataJson, writeDefinition } from '../archive/metadata.js'
import { writeArchive } from '../archive/writer.js'
import { type Bench, expectedState, fixtureFolder, startBench } from './restore.support.js'

const LOST_BY_PBM = /^shop\.orders: index hid/
const OWN_ROLE = /^role admin\./

/** The same backup, laid out as older versions of PBM did (PBM: storage-format.md §1). */
describe('Restore from the layouts of older PBM', () => {
  if (fixturesFolder() === undefined) return
  let bench: Bench
  let name = ''
  let folder = ''

  before(async () => {
    bench = await startBench('pbm-codecs')
    const manifest = JSON.parse(await readFile(join(fixtureFolder('pbm-codecs'), 'manifest.json'), 'utf8')) as {
      snapshots: { name: string; compression: string }[]
    }
    name = manifest.snapshots.find(({ compression }) => compression === 'none')?.name ?? ''
    folder = join(bench.folder, name, 'rs0')
  })
  after(async () => {
    await bench?.stop()
  })

  async function changeMetadata(change: (replset: Record<string, string>) => void, version: string): Promise<void> {
    const file = join(bench.folder, `${name}.pbm.json`)
    const metadata = JSON.parse(await readFile(file, 'utf8')) as {
      pbm_version: string
      replsets: Record<string, string>[]
    }
    metadata.pbm_version = version
    for (const replset of metadata.replsets) change(replset)
    await writeFile(file, JSON.stringify(metadata))
  }

  async function assertRestored(): Promise<void> {
    await bench.node.db('shop').dropDatabase()
    assert.equal(await bench.restore(name), 'done')
    const found = compareStates(await expectedState('pbm-codecs', 'snapshot'), await snapshotState(bench.node), {
      ignoreUsers: [`admin.${PBM_USER.user}`],
    })
    assert.deepEqual(
      found.filter((difference) => !LOST_BY_PBM.test(difference) && !OWN_ROLE.test(difference)),
      [],
    )
    await assertPartRestored()
  }

  /** Also what is missing of it, which says how many documents that was. */
  async function assertPartRestored(): Promise<void> {
    const before = await snapshotState(bench.node)
    const shop = bench.node.db('shop')
    await shop.collection('weather').drop()
    assert.equal(await bench.restore(name, { command: { nss: ['shop.weather'] } }), 'done')
    await shop.collection<{ _id: number }>('orders').deleteMany({ _id: { $mod: [2, 0] } })
    assert.equal(await bench.restore(name, { command: { nss: ['shop.orders'], keepExisting: true } }), 'done')
    const found = compareStates(before, await snapshotState(bench.node))
    assert.deepEqual(
      found.filter((difference) => !difference.includes('system.buckets.weather: uuid')),
      [],
    )
  }

  it('of 2.0 to 2.3: one oplog file beside the namespaces', async () => {
    const [piece] = await readdir(join(folder, 'oplog'))
    await rename(join(folder, 'oplog', piece ?? ''), join(folder, 'local.oplog.rs.bson'))
    await rm(join(folder, 'oplog'), { recursive: true })
    await changeMetadata((replset) => {
      replset.oplog_name = `${name}/rs0/local.oplog.rs.bson`
    }, '2.3.1')
    await assertRestored()
  })

  it('before 2.0: one mongodump archive and one oplog file', async () => {
    const metadata = readMetadataJson(await readFile(join(folder, 'metadata.json'), 'utf8'))
    const header = { concurrentCollections: 4, version: '0.1', serverVersion: '6.0.5', toolVersion: '100.5.0' }
    const archive = writeArchive(
      header,
      metadata.namespaces.map((namespace) => ({
        db: namespace.db,
        collection: namespace.collection,
        bodyCollection:
          namespace.type === 'timeseries' ? `system.buckets.${namespace.collection}` : namespace.collection,
        metadata: writeDefinition(namespace),
        type: namespace.type,
        documents: async function* () {
          if (namespace.size > 0) yield await readFile(join(folder, `${namespace.db}.${namespace.collection}`))
        },
      })),
    )
    await writeFile(join(bench.folder, `${name}_rs0.dump`), archive)
    await rename(join(folder, 'local.oplog.rs.bson'), join(bench.folder, `${name}_rs0.oplog`))
    await rm(join(bench.folder, name), { recursive: true })
    await changeMetadata((replset) => {
      replset.backup_name = `${name}_rs0.dump`
      replset.oplog_name = `${name}_rs0.oplog`
    }, '1.8.1')
    await assertRestored()
  })

  it('gives one collection of such an archive', async () => {
    await bench.node.db('shop').collection('orders').drop()
    const before = await snapshotState(bench.node)
    assert.equal(await bench.restore(name, { command: { nss: ['shop.orders'] } }), 'done')
    const expected = (await expectedState('pbm-codecs', 'snapshot')).dbs.shop?.orders
    const { shop = {}, ...others } = (await snapshotState(bench.node)).dbs
    const { orders, ...rest } = shop
    assert.deepEqual([orders?.count, orders?.sha256], [expected?.count, expected?.sha256])
    assert.deepEqual(compareStates(before, { ...before, dbs: { ...others, shop: rest } }), [])
  })

  it('refuses an archive with an altered document before anything is dropped', async () => {
    const file = join(bench.folder, `${name}_rs0.dump`)
    const bytes = await readFile(file)
    const at = bytes.length - 200_000
    bytes.writeUInt8((bytes[at] ?? 0) ^ 0x40, at)
    await writeFile(file, bytes)
    const before = await snapshotState(bench.node)
    await assert.rejects(bench.restore(name), { code: 'BACKUP_DAMAGED', message: /_rs0\.dump/ })
    assert.deepEqual(compareStates(before, await snapshotState(bench.node)), [])
  })
})
