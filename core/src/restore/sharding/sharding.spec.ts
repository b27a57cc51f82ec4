import assert from 'node:assert/strict'
import { MongoClient } from 'mongodb'
import type { BackupDocument } from '../../control/backup-document.js'
import type { NodeInfo } from '../../mongo/topology.js'
import { none } from '../../plugin-host/none.js'
import { FaultyStore } from '../../store/wrappers/faulty-store.support.js'
import { deadlineGuard } from '../../time/deadline-guard.js'
import { ManualClock } from '../../time/manual-clock.support.js'
import { restoreNothing } from '../run/replset.js'
import { ShardedRestore } from './sharding.js'

describe('a shard that the backup does not have', () => {
  it('reads the lists of all parts before any shard may drop its data', async () => {
    const client = new MongoClient('mongodb://127.0.0.1:1')
    const log = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined }
    const part = { name: 's1', dump_name: 'b/s1/metadata.json', oplog_name: 'b/s1/oplog' }
    const backup = { name: 'b', pbm_version: '2.10.0', compression: 'none', replsets: [part] }
    const store = new FaultyStore()
    // Its oplog is there; what it has of namespaces is not.
    store.put('b/s1/oplog/20310203040506-1.20310203040516-1', 'x')
    const sharding = new ShardedRestore({
      ...{ client, leader: client, store, log, rsMap: {}, cluster: [], name: 'r', compression: none },
      self: { rs: 's2', node: 'localhost:27017' },
      info: { shardId: 's2', isClusterLeader: false, isConfigServer: false } as unknown as NodeInfo,
      backup: backup as unknown as BackupDocument,
      clock: new ManualClock(),
      guard: deadlineGuard(new AbortController().signal),
    })
    const reached: string[] = []
    const reach = async (state: string) => void reached.push(state)
    await assert.rejects(restoreNothing({ sharding, reach, log }), { code: 'BACKUP_OBJECT_MISSING' })
    assert.deepEqual(reached, [])
  })
})

describe('a sharded cluster of servers before 5.0', () => {
  it('is refused before anything is looked at', () => {
    const info = { version: '4.4.2', isConfigServer: false } as unknown as NodeInfo
    const options = { info } as unknown as ConstructorParameters<typeof ShardedRestore>[0]
    assert.throws(() => new ShardedRestore(options), { code: 'SERVER_TOO_OLD', message: /MongoDB 4\.4\.2/ })
  })
})
