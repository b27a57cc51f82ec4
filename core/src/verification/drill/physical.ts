import { dirname, join } from 'node:path'
import { type Document, ObjectId } from 'mongodb'
import { withScratch } from '../../backup/physical/scratch.js'
import type { BackupDocument } from '../../control/backup-document.js'
import type { DrillCommand } from '../../control/command-document.js'
import { storeOf } from '../../encryption/sealed-store.js'
import { PbmError } from '../../errors.js'
import { optime, toTimestamp } from '../../oplog/entry.js'
import { filesOfChain } from '../../restore/physical/chain-files.js'
import { DEFAULT_PARALLEL_FILES, fetchFiles } from '../../restore/physical/fetch.js'
import { giveIdentity } from '../../restore/physical/identity.js'
import type { FetchOptions } from '../../restore/physical/listed-files.js'
import { type KeptOplog, keepOplog } from '../../restore/physical/oplog-file.js'
import { fetchedSize, totalSize } from '../../restore/physical/planned-files.js'
import { refuseOtherVersion } from '../../restore/physical/prepare.js'
import { chunksUpTo, type PointInTime } from '../../restore/run/point-in-time.js'
import { refuseProfileBase } from '../../restore/run/select.js'
import { sealedOnly } from '../../restore/verify/sealed-only.js'
import type { DrillContext } from './context.js'
import type { Look } from './restored.js'
import { drillServer, SCRATCH_REPLSET } from './server.js'
import { abortUndecided } from './undecided.js'

/** Names the socket of the server that prepares the files. */
const PORT = 27017
/** It may have much oplog to apply. Who does not want to wait for it cancels the drill. */
const SERVE_MS = 86_400_000

/** The files of a backup, opened as a restore opens them, by a replica set of one member. */
export async function withPhysical<T>(
  listed: BackupDocument,
  { time }: DrillCommand,
  context: DrillContext,
  look: Look<T>,
): Promise<T> {
  const { leader, self, info, log, clock, host, ciphers, store, signal, progress, scratch } = context
  const trusted = await sealedOnly(ciphers, { log })
  const backup = await trusted.backup(store, listed, { signal })
  const part = backup.replsets.find(({ name }) => name === self.rs)
  if (part === undefined) throw new PbmError('RESTORE_UNSUPPORTED', `${backup.name} has nothing for ${self.rs}`)
  if (scratch.mongod === undefined) refuseOtherVersion(backup, part, info)
  refuseProfileBase(backup, { oplogTS: time })
  const pointInTime = await chunksUpTo({ leader, host, rs: self.rs, backup, target: time, isPart: false })
  await trusted.chunks(pointInTime?.chunks.map(({ object }) => object) ?? [])
  const compression = await host.compression(backup.compression)
  const fetching = { store: trusted.store(storeOf(store, ciphers, backup), backup), backup, part, compression, signal }
  const files = await filesOfChain(backup, part.name, { leader, store, host, ciphers, trusted, signal })
  const bytes = totalSize(files)
  const server = { ...(await drillServer(context, part.mongod_opts)), serveMs: SERVE_MS }
  let began = clock.now()
  const fill = async (dbPath: string, filling: AbortSignal, member: string) => {
    began = clock.now()
    progress.phase('files', { bytes: fetchedSize(files), documents: 0 })
    const fetch = { ...fetching, signal: filling }
    await fetchFiles(files, { folder: dbPath, parallel: DEFAULT_PARALLEL_FILES, progress, signal: filling })
    const kept = pointInTime && (await bringOplog(fetch, pointInTime, dbPath, scratch.keepFree))
    progress.phase('oplog')
    const lastWrite = kept === undefined ? part.last_write_ts : toTimestamp(kept.last)
    const oplog = kept && oplogIn(dbPath)
    await giveIdentity(
      { ...server, dbPath, port: PORT, scripting: false, signal: filling, replset: undefined },
      { replset: memberAlone(member), kept: { config: [], pitr: [] }, lastWrite, oplog, sharding: undefined },
      join(dirname(dbPath), 'first.log'),
    )
  }
  return await withScratch({ ...server, needs: bytes, fill }, async (client, open) => {
    const restoreMs = clock.now() - began
    const undecided = await abortUndecided(client)
    if (undecided > 0)
      log.info(`aborted ${undecided} transactions over several shards, which were under way at the end`)
    const at = (time ?? part.last_write_ts).getHighBitsUnsigned() * 1000
    return await look({ client, signal: open, restoreMs, faults: [], at })
  })
}

async function bringOplog(
  { store, part, signal }: FetchOptions,
  { chunks: pieces, end }: PointInTime,
  dbPath: string,
  reserve: number,
): Promise<KeptOplog> {
  return await keepOplog({ store, pieces, start: optime(part.last_write_ts), end, signal, reserve }, oplogIn(dbPath))
}

/** Beside the files: none of the server's. */
function oplogIn(dbPath: string): string {
  return join(dirname(dbPath), 'oplog.bson')
}

/** A configuration as servers keep it. */
function memberAlone(host: string): Document {
  return {
    ...{ _id: SCRATCH_REPLSET, version: 1, term: 1, protocolVersion: 1, writeConcernMajorityJournalDefault: true },
    members: [{ _id: 0, host }],
    settings: { replicaSetId: new ObjectId() },
  }
}
