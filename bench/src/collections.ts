import { findRestore, listRestores } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Cost } from './measure.js'
import { pbmkit, startSystem } from './system.js'
import type { Row } from './table.js'

const DATABASE = 'many'
const CODEC = 's2'
/** Small, so that what a collection itself costs is most of it. */
const DOCUMENTS = Array.from({ length: 20 }, (_, _id) => ({ _id, a: _id % 7, b: 'x'.repeat(100) }))
/** Filled at once. */
const WIDTH = 4

/** A backup and a restore of many small collections with two indexes each. `say` is told how long each state took. */
export async function measureCollections(
  client: MongoClient,
  uri: { readonly node: string; readonly cluster: string },
  folder: string,
  count: number,
  say: (text: string) => void,
): Promise<Row[]> {
  await fill(client, count)
  const system = await startSystem(pbmkit(), client, uri, folder)
  try {
    const { cost: backup, name, stored } = await system.backup(CODEC)
    const restore = await system.restore(name)
    for (const line of await states(client)) say(line)
    const row = (what: string, cost: Cost) => ({ what: `${what} of ${count} collections`, codec: CODEC, cost, stored })
    return [row('backup', backup), row('restore', restore)]
  } finally {
    await system.stop()
    await client.db(DATABASE).dropDatabase()
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
