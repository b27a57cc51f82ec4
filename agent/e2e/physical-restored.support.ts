import assert from 'node:assert/strict'
import type { ReplicaSet } from '@pbmkit/conformance/testbed'
import { connectLeader, findRestore, type RestoreCommand, type RestoreDocument } from '@pbmkit/core'
import { MongoClient } from 'mongodb'
import { sendRestore, until } from './cluster.support.js'

/** Sends a restore of files, and waits for its end: no connection outlives it. */
export async function restoreFiles(
  uri: string,
  backup: string,
  given: Partial<RestoreCommand> = {},
  seconds = 180,
): Promise<RestoreDocument> {
  const sender = await connectLeader(uri, { appName: 'test' })
  const sent = await sendRestore(sender.client, backup, given).finally(() => sender.client.close())
  let record: RestoreDocument | undefined
  const look = async () => {
    const found = await connectLeader(uri, { appName: 'test' }).catch(() => undefined)
    if (found !== undefined) record = await findRestore(found.client, sent).catch(() => undefined)
    await found?.client.close()
    return ['done', 'error', 'partlyDone'].includes(record?.status ?? '')
  }
  await until(`the end of restore ${sent}`, look, seconds)
  assert.ok(record)
  return record
}

export async function withClient<T>(uri: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = await MongoClient.connect(uri)
  return await work(client).finally(() => client.close())
}

/** What a command has under way in a collection of its own: a server that becomes primary drops it. */
export const TEMPORARY = /\.tmp\w*\.(?:convertToCapped|agg_out|renameCollection)/

/** By collection, of users' own databases: over all its documents. */
export async function hashes(client: MongoClient): Promise<Record<string, string>> {
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true })
  const found: Record<string, string> = {}
  for (const { name: db } of databases) {
    if (['admin', 'config', 'local'].includes(db)) continue
    const { collections } = await client.db(db).command({ dbHash: 1 })
    for (const [name, hash] of Object.entries(collections)) {
      const ns = `${db}.${name}`
      if (!TEMPORARY.test(ns)) found[ns] = String(hash)
    }
  }
  return found
}

/** The whole of each collection on each member, and its indexes, as the server itself checks them. */
export async function validateAll({ members }: ReplicaSet): Promise<void> {
  for (const member of members)
    await withClient(member.uri(), async (client) => {
      const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true })
      for (const { name: db } of databases) {
        // What every member writes on its own is at work there.
        if (db === 'local') continue
        for (const { name, type } of await client.db(db).listCollections().toArray()) {
          if (type === 'view' || type === 'timeseries') continue
          const { valid, errors } = await client.db(db).command({ validate: name, full: true })
          // A validator that came later than the documents.
          const faults = (errors as string[]).filter(
            (error) => !/not compliant with the collection's schema/.test(error),
          )
          assert.ok(
            valid === true || (errors.length > 0 && faults.length === 0),
            `${db}.${name} on ${member.host}: ${errors}`,
          )
        }
      }
    })
}
