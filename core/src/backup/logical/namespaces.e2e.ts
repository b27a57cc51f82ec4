import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { BSON, type Document, type MongoClient, type RunCommandOptions } from 'mongodb'
import { none } from '../../plugin-host/none.js'
import { FaultyStore } from '../../store/wrappers/faulty-store.support.js'
import { dumpNamespaces } from './dump.js'
import { listNamespaces } from './namespaces.js'

describe('what a backup dumps', function () {
  this.timeout(60_000)
  let set: ReplicaSet
  let node: MongoClient

  before(async () => {
    set = await startReplicaSet()
    node = await set.client()
  })
  after(() => set?.stop())

  it('has buckets without their time series, as shards have them, and never lacks any without a word', async () => {
    const series = { timeField: 't', metaField: 'm', granularity: 'minutes' }
    const lost = node.db('lost')
    await lost.createCollection('whole', { timeseries: series, expireAfterSeconds: 86400 })
    await lost.command({ createIndexes: 'whole', indexes: [{ key: { 'm.a': 1, t: 1 }, name: 'by' }] })
    const [buckets] = await lost.listCollections({ name: 'system.buckets.whole' }, { nameOnly: false }).toArray()
    await lost.command({ create: 'system.buckets.alone', ...buckets?.options })
    await lost.command({ createIndexes: 'alone', indexes: [{ key: { 'm.a': 1, t: 1 }, name: 'by' }] })
    // As a resharding makes them, until it ends.
    const copy = 'system.buckets.resharding.0b7a9b4e-53a6-4cf5-8f2b-0d3a4a5f6c7d'
    await lost.command({ create: copy, ...buckets?.options })
    const list = (nss?: string[]) => listNamespaces({ node, primary: node }, { nss })
    const [alone, whole, ...others] = await list(['lost.*'])
    assert.deepEqual(others, [])
    for (const found of [whole, alone]) assert.equal(found?.type, 'timeseries')
    assert.deepEqual([alone?.collection, alone?.bucketsOnly, whole?.bucketsOnly], ['alone', true, undefined])
    assert.deepEqual(asShown(alone?.options), asShown(whole?.options))
    const by = [alone, whole].map((found) => found?.indexes?.map(asShown).filter(({ name }) => name === 'by'))
    assert.deepEqual(by[0], by[1])
    assert.equal(by[0]?.length, 1)

    // No server of today makes this. Older ones might have.
    await lost.command({ create: 'system.buckets.plain', ...buckets?.options })
    await lost.createCollection('plain')
    const message = /lost\.system\.buckets\.plain has buckets, and lost\.plain is no time series/
    for (const nss of [undefined, ['lost.*'], ['lost.plain']]) {
      await assert.rejects(list(nss), { code: 'BUCKETS_HIDDEN', message })
    }
    assert.equal((await list(['lost.whole'])).length, 1)
  })

  it('has small collections stored side by side, and no more of all than was said', async () => {
    const db = node.db('small')
    const names = Array.from({ length: 12 }, (_, index) => `c${index}`)
    for (const name of names) await db.collection(name).insertOne({ name })
    const namespaces = await listNamespaces({ node, primary: node }, { nss: ['small.*'] })
    const ignore = () => undefined
    for (const [width, most] of [
      [{ parallel: 2, parallelSmall: 5 }, 5],
      [{ parallel: 2 }, 2],
    ] as const) {
      const store = new FaultyStore()
      const save = store.save.bind(store)
      const waiting: (() => void)[] = []
      let [open, peak] = [0, 0]
      store.save = async (...saved) => {
        open += 1
        peak = Math.max(peak, open)
        // Until as many as may be are there, or the last ones are.
        await new Promise<void>((resolve) => {
          waiting.push(resolve)
          if (open === most || store.objects.size + open === names.length) for (const go of waiting.splice(0)) go()
        })
        const stored = await save(...saved)
        open -= 1
        return stored
      }
      const log = { debug: ignore, info: ignore, warning: ignore, error: ignore }
      const { signal } = new AbortController()
      const where = { node, store, compression: none, backup: 'b', replset: set.name, signal, log, onProgress: ignore }
      const dumped = await dumpNamespaces(namespaces, { ...where, ...width })
      assert.deepEqual([dumped.namespaces.length, store.objects.size, peak], [names.length, names.length, most])
    }
  })

  it('has of each collection its own indexes, whatever gets its name while they are asked for', async () => {
    const db = node.db('race')
    const collation = { locale: 'fr' }
    await db.createCollection('again', { collation })
    await db.createCollection('here')
    await db.collection('here').createIndex({ a: 1 })
    await db.createCollection('series', { timeseries: { timeField: 't', metaField: 'm' } })
    const change = async () => {
      await db.dropCollection('again')
      await db.createCollection('again')
      await db.collection('here').rename('there')
      await db.createCollection('here')
      await db.dropCollection('series')
      await db.createCollection('series', { timeseries: { timeField: 't', metaField: 'other' } })
      await db.collection('series').createIndex({ other: 1 })
    }
    const primary = changedBefore(node, 'listIndexes', change)
    const found = await listNamespaces({ node, primary }, { nss: ['race.*'] })
    const indexes = found.map(({ collection, indexes }) => [collection, indexes?.map((one) => asShown(one).name)])
    assert.deepEqual(indexes, [
      ['again', []],
      ['here', ['_id_', 'a_1']],
      ['series', []],
    ])
    assert.equal(asShown(found[0]?.options).collation.locale, 'fr')
  })
})

/** The first command of a name waits for `change`, as do all of that name after it. */
function changedBefore(client: MongoClient, name: string, change: () => Promise<void>): MongoClient {
  let changed: Promise<void> | undefined
  const intercepted = <T extends object>(target: T, key: string, replacement: unknown): T =>
    new Proxy(target, {
      get(_, asked) {
        if (asked === key) return replacement
        const value: unknown = Reflect.get(target, asked)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  return intercepted(client, 'db', (of: string) => {
    const db = client.db(of)
    return intercepted(db, 'command', async (command: Document, options?: RunCommandOptions) => {
      if (name in command) {
        changed ??= change()
        await changed
      }
      return await db.command(command, options)
    })
  })
}

function asShown(document: Buffer | undefined): Document {
  return document === undefined ? {} : BSON.deserialize(document)
}
