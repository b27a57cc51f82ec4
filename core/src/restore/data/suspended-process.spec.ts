import assert from 'node:assert/strict'
import { BSON, MongoClient } from 'mongodb'
import type { OperationLog } from '../../log.js'
import { applyOps } from '../../mongo/apply-ops.js'
import { deadlineGuard } from '../../time/deadline-guard.js'
import { createCollections } from './collections.js'
import { buildIndexes } from './indexes.js'

describe('Steps of a restore by somebody who was suspended, though no signal tells it yet', () => {
  // Nobody listens there: whatever is sent fails otherwise than by the fence.
  const client = new MongoClient('mongodb://127.0.0.1:1/', { serverSelectionTimeoutMS: 50 })
  const guard = deadlineGuard(new AbortController().signal, () => assert.fail('stopped'))
  after(() => client.close())

  it('apply nothing, neither at first nor at the attempt that nothing bounds', async () => {
    await assert.rejects(applyOps(client, [], { guard }), /stopped/)
    await assert.rejects(applyOps(client, [], { guard, attempts: [] }), /stopped/)
  })

  it('create no collection', async () => {
    const namespace = { db: 'app', collection: 'c', collectionName: 'c', type: 'collection', crc: 0n, size: 0 } as const
    const described = { ...namespace, options: undefined, indexes: [], uuid: undefined }
    await assert.rejects(createCollections(client, [described], guard), { message: 'stopped' })
  })

  it('build no index', async () => {
    const nothing = () => undefined
    const log: OperationLog = { debug: nothing, info: nothing, warning: nothing, error: nothing }
    const specs = [Buffer.from(BSON.serialize({ v: 2, key: { a: 1 }, name: 'a_1' }))]
    const options = { guard, log, commitQuorum: undefined, onBuilt: nothing }
    await assert.rejects(buildIndexes(client, [{ ns: 'app.c', specs }], options), { message: 'stopped' })
  })
})
