import { join } from 'node:path'
import type { MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../../errors.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import { optime, optimeText } from '../../oplog/entry.js'
import { readOplog } from '../../oplog/reading/slice.js'
import { EntriesFile, insertEntries } from './entries.js'
import { programOf } from './server-program.js'
import { newestEntry, withStandalone } from './standalone.js'

export interface Completing {
  readonly node: MongoClient
  readonly server: ServerOptions
  /** Folder of the copy. */
  readonly folder: string
  /** The last write that it has. */
  readonly top: Timestamp
  /** That which the copies of all replica sets are to have; no earlier. */
  readonly end: Timestamp
  readonly signal: AbortSignal
}

/**
 * Puts into the oplog of a copy what its replica set wrote up to the one time of all replica sets, so that it is restored to
 * exactly that by whoever restores it. The copies are of moments that lie apart; what a transaction over several shards had not
 * ended by then, the servers end by themselves (measured: docs/reference/physical-community-2.md §3).
 */
export async function completeCopy({ node, server, folder, top, end, signal }: Completing): Promise<void> {
  const { path } = await programOf(server)
  // Neither is a file of the server, so neither is stored.
  const [entries, log] = ['oplog.bson', 'standalone.log'].map((name) => join(folder, name)) as [string, string]
  const file = await EntriesFile.create(entries, optime(top))
  try {
    if (end.greaterThan(top)) {
      for await (const batch of readOplog(node, { start: top, end, startExcluded: true }, { signal }))
        await file.add(batch, optime(end))
    }
  } finally {
    await file.close()
  }
  const options = { dbPath: folder, path, port: server.port, mongodOpts: server.mongodOpts }
  await withStandalone(options, log, async (client) => {
    signal.throwIfAborted()
    const before = await newestEntry(client)
    await insertEntries(client, entries, optime(before?.ts ?? { t: 0, i: 0 }))
    const newest = await newestEntry(client)
    if (newest === undefined || newest.ts.lessThan(top) || newest.ts.greaterThan(end)) {
      const found = newest === undefined ? 'nothing' : optimeText(optime(newest.ts))
      throw new PbmError('COPY_INCOMPLETE', `the copy ends with ${found} instead of ${optimeText(optime(end))}`, {
        hint: 'Make the backup again',
      })
    }
    if (newest.ts.equals(end)) return
    // That time is another replica set's: here nothing was written then, and whoever restores looks for it.
    const wall = new Date(end.getHighBitsUnsigned() * 1000)
    const nothing = { _id: end, op: 'n', ns: '', o: { msg: 'end of a backup' }, ts: end, t: newest.t, v: 2, wall }
    await client.db('local').collection<{ _id: Timestamp }>('oplog.rs').insertOne(nothing)
  })
}
