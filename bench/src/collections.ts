import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findRestore, listRestores } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { type Cost, runMeasured } from './measure.js'
import type { Peers } from './peers.js'
import { pbmkit, startSystem } from './system.js'
import type { Row } from './table.js'

const DATABASE = 'many'
const CODEC = 's2'
/** Small, so that what a collection itself costs is most of it. */
const DOCUMENTS = Array.from({ length: 20 }, (_, _id) => ({ _id, a: _id % 7, b: 'x'.repeat(100) }))
/** Filled at once. */
const WIDTH = 4

export interface CollectionsBench {
  readonly client: MongoClient
  readonly uri: { readonly node: string; readonly cluster: string }
  readonly folder: string
  readonly count: number
  readonly peers: Peers
  /** Is told how long each state took. */
  readonly say: (text: string) => void
}

/** A backup and a restore of many small collections with two indexes each, beside mongodump and mongorestore. */
export async function measureCollections(bench: CollectionsBench): Promise<Row[]> {
  const { client, uri, folder, count, say } = bench
  await fill(client, count)
  const dumped = await dumpAndRestore(bench)
  const system = await startSystem(pbmkit(), client, uri, folder)
  try {
    const { cost: backup, name, stored } = await system.backup(CODEC)
    const restore = await system.restore(name)
    for (const line of await states(client)) say(line)
    const row = (what: string, cost: Cost, program: keyof Dumped) => ({
      ...{ what: `${what} of ${count} collections`, codec: CODEC, cost, stored },
      beside: dumped && { name: program, cost: dumped[program] },
    })
    return [row('backup', backup, 'mongodump'), row('restore', restore, 'mongorestore')]
  } finally {
    await system.stop()
    await client.db(DATABASE).dropDatabase()
  }
}

interface Dumped {
  readonly mongodump: Cost
  readonly mongorestore: Cost
}

/** Into an archive and back; undefined where they are not there. */
async function dumpAndRestore({ peers, uri, folder }: CollectionsBench): Promise<Dumped | undefined> {
  const { mongodump, mongorestore } = peers
  if (mongodump === undefined || mongorestore === undefined) return undefined
  const args = [`--uri=${uri.cluster}`, `--archive=${join(folder, 'archive')}`]
  await mkdir(folder, { recursive: true })
  return {
    mongodump: await runMeasured(mongodump, [...args, `--db=${DATABASE}`]),
    mongorestore: await runMeasured(mongorestore, [...args, '--drop']),
  }
}

async function fill(client: MongoClient, count: number): Promise<void> {
  const db = client.db(DATABASE)
  await db.dropDatabase()
  const left = Array.from({ length: count }, (_, index) => `c${index}`)
  const work = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      const collection = db.collection<{ _id: number }>(name)
      // The server builds the indexes of an empty collection at once.
      await collection.createIndexes([{ key: { a: 1 } }, { key: { b: 1 } }])
      await collection.insertMany([...DOCUMENTS])
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, work))
}

async function states(client: MongoClient): Promise<string[]> {
  const [newest] = await listRestores(client, { limit: 1 })
  const conditions = (newest && (await findRestore(client, newest.name)))?.conditions ?? []
  return conditions
    .slice(1)
    .map(({ status, timestamp }, index) => `${timestamp - (conditions[index]?.timestamp ?? timestamp)} s to ${status}`)
}
