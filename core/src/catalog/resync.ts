import type { MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import type { StorageConfig } from '../config/document.js'
import type { BackupDocument } from '../control/backup-document.js'
import { replaceBackups } from '../control/backups.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { listChunks, replaceChunks } from '../control/pitr-chunks.js'
import { backupStoreOf } from '../control/profiles.js'
import { putPhysicalRestore } from '../control/restores.js'
import { BACKUP_STATES, isTerminal, RESTORE_STATES } from '../control/state-machine.js'
import { type Ciphers, isUnopened } from '../encryption/ciphers.js'
import { isKeyObject } from '../encryption/key-objects.js'
import { signingKey } from '../encryption/record-signature.js'
import { storeOf } from '../encryption/sealed-store.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import { compressionBySuffix } from '../plugin-host/naming.js'
import {
  backupMetadataName,
  isSafeBackupName,
  PITR_FOLDER,
  parseBackupMetadataName,
  parsePitrChunkName,
} from '../store/layout/names.js'
import { readRecordText } from '../store/layout/read-record.js'
import { checkFiles } from './check-files.js'
import { ChunkChecksums } from './chunk-checksums.js'
import { withBeginnings } from './first-chunks.js'
import { INIT } from './init-object.js'
import { acceptStorage } from './known-storage.js'
import { listPhysicalRestores, readPhysicalRestore } from './physical-restores.js'
import { ensureIdentity } from './storage-identity.js'
import { testWriting } from './write-test.js'

/** Metadata documents under way at once. */
const WIDTH = 8

export interface ResyncOptions extends CallOptions {
  readonly leader: MongoClient
  readonly store: ObjectStore
  readonly host: PluginHost
  /** `storage` of the configuration: takes the place of what the metadata says, which may be another mount or endpoint. */
  readonly storage: StorageConfig
  /** Whose storage it is; left out for the main one, which alone has chunks and an init object that is written anew. */
  readonly profile?: string | undefined
  readonly log: OperationLog
  /** All physical restores that have ended there, not only the newest one. */
  readonly includeRestores?: boolean
  /** To look into sealed backups; without their keys they are listed all the same. */
  readonly ciphers?: Ciphers | undefined
}

export interface ResyncResult {
  readonly backups: number
  /** Of these, with missing or empty objects; they stand as `error`. */
  readonly damaged: number
  readonly chunks: number
  /** Objects that look like ours but are not taken, and why. */
  readonly skipped: readonly { readonly object: string; readonly reason: string }[]
}

/**
 * Makes the control collections say what is on the main storage or that of a profile (PBM: storage-format.md §2, Resync), which
 * is the cluster's from then on, whichever was before: rewrites the init object (the write test), reads the metadata of every
 * backup, checks its objects, and rebuilds the index of chunks. The storage is read completely before any document changes: a
 * storage that fails half-way loses nothing.
 *
 * Documents of logical restores stay: they are nowhere else. Those of physical ones are read from there, as by PBM.
 */
export async function resync(options: ResyncOptions): Promise<ResyncResult> {
  const { leader, store, storage, profile, log, signal } = options
  if (profile === undefined) {
    await testWriting(store, INIT, { signal })
    await ensureIdentity(store, { signal })
  }
  const skipped: { object: string; reason: string }[] = []
  const listing = await listCatalog(store, skipped, { signal })

  const limit = pLimit(WIDTH)
  const read = await Promise.all(
    listing.metadata.map((object) => limit(async () => ({ object, ...(await readBackup(options, object)) }))),
  )
  const backups = new Map<string, BackupDocument>()
  // The object that carries the backup's own name wins.
  read.sort((a, b) => Number(isOwn(b)) - Number(isOwn(a)) || (a.object < b.object ? -1 : 1))
  const foreign = new Set<string>()
  for (const found of read) {
    const { object, backup, reason } = found
    if (object.includes('/') && !isOwn(found)) foreign.add(object.slice(0, object.indexOf('/') + 1))
    else if (backup === undefined) skipped.push({ object, reason })
    else if (backups.has(backup.name)) skipped.push({ object, reason: `backup ${backup.name} is there already` })
    else backups.set(backup.name, { ...backup, store: backupStoreOf(storage, profile) })
  }
  const damaged = new Set<string>()
  await Promise.all(
    [...backups.values()].map((backup) =>
      limit(async () => {
        if (await markDamaged(storeOf(store, options.ciphers, backup), backup, log, { signal }))
          damaged.add(backup.name)
      }),
    ),
  )
  signal?.throwIfAborted()

  for (const { name, error } of await replaceBackups(leader, [...backups.values()], profile ?? null)) {
    skipped.push({ object: backupMetadataName(name), reason: `its record can't be stored: ${errorText(error)}` })
    backups.delete(name)
    damaged.delete(name)
  }
  for (const { object, reason } of skipped) log.warning(`skipped ${object}: ${reason}`)
  if (foreign.size > 0) log.info(`left out backups of other storages below this one, in ${listed([...foreign])}`)
  if (profile === undefined) {
    const noted = withNotes(listing.chunks, await listChunks(leader))
    // Last: who has only these has not looked into the chunk.
    const chunks = (await withBeginnings(noted, options)).map((chunk) => listing.checksums.complete(chunk))
    await replaceChunks(leader, chunks)
    await takeRestores(options)
  }
  await acceptStorage(store, options, { signal })
  const result = {
    backups: backups.size,
    damaged: damaged.size,
    chunks: profile === undefined ? listing.chunks.length : 0,
    skipped,
  }
  log.info(
    `found ${result.backups} backups (${result.damaged} damaged) and ${result.chunks} oplog chunks; ` +
      `skipped ${skipped.length} objects`,
  )
  return result
}

/** One that can't be read keeps nothing else from being read. */
async function takeRestores({ leader, store, log, signal, includeRestores }: ResyncOptions): Promise<void> {
  const names = await listPhysicalRestores(store, { signal })
  for (const name of includeRestores === true ? names : names.slice(-1)) {
    try {
      const restore = await readPhysicalRestore(store, name, { signal })
      if (restore !== undefined && isTerminal(RESTORE_STATES, restore.status)) await putPhysicalRestore(leader, restore)
    } catch (error) {
      signal?.throwIfAborted()
      log.warning(`left out the physical restore ${name}: ${errorText(error)}`)
    }
  }
}

async function listCatalog(store: ObjectStore, skipped: { object: string; reason: string }[], call: CallOptions) {
  const metadata: string[] = []
  const chunks: PitrChunkDocument[] = []
  const bounds = new Set<string>()
  const checksums = new ChunkChecksums()
  for await (const { name, size } of store.list(call)) {
    if (parseBackupMetadataName(name) !== undefined) metadata.push(name)
    if (!name.startsWith(`${PITR_FOLDER}/`)) continue
    if (isKeyObject(name) || checksums.add(name)) continue
    const chunk = parsePitrChunkName(name)
    const key = `${chunk?.replset} ${chunk?.start} ${chunk?.end}`
    if (chunk === undefined) skipped.push({ object: name, reason: 'not the name of an oplog chunk' })
    else if (size === 0) skipped.push({ object: name, reason: 'it is empty' })
    else if (bounds.has(key)) skipped.push({ object: name, reason: 'a chunk with the same bounds is there already' })
    else {
      bounds.add(key)
      const { replset: rs, start: start_ts, end: end_ts, encryption } = chunk
      const sealed = encryption === undefined ? {} : { encryption }
      chunks.push({ rs, fname: name, compression: compressionBySuffix(name), start_ts, end_ts, size, ...sealed })
    }
  }
  return { metadata, chunks, checksums }
}

/** What slicers note is in the control collections only: it is kept for objects that are the same as before. */
function withNotes(chunks: readonly PitrChunkDocument[], known: readonly PitrChunkDocument[]): PitrChunkDocument[] {
  const notes = new Map(known.map((chunk) => [`${chunk.fname} ${chunk.size}`, chunk]))
  return chunks.map((chunk) => {
    const { crc, storedCrc, barriers, fromNothing } = notes.get(`${chunk.fname} ${chunk.size}`) ?? {}
    return {
      ...chunk,
      ...(crc === undefined ? {} : { crc }),
      ...(storedCrc === undefined ? {} : { storedCrc }),
      ...(barriers === undefined ? {} : { barriers }),
      ...(fromNothing === undefined ? {} : { fromNothing }),
    }
  })
}

async function readBackup(
  { store, ciphers, signal }: ResyncOptions,
  object: string,
): Promise<{ backup?: BackupDocument; reason: string }> {
  try {
    const { record: backup, text } = await readRecordText(store, object, { signal })
    if (!isSafeBackupName(backup.name)) {
      return { reason: `it names its backup ${JSON.stringify(backup.name)}, which can't be the name of one` }
    }
    if (ciphers !== undefined && (await isForged(ciphers, store, backup, text, { signal }))) {
      return { reason: 'it was altered: its signature is wrong' }
    }
    return { backup, reason: '' }
  } catch (error) {
    signal?.throwIfAborted()
    return { reason: errorText(error) }
  }
}

/**
 * Whether the object is called as its backup wants. One in a folder that is not, is another storage's: a cluster with a
 * prefix of its own below this one, a file server's `.snapshot`. PBM takes those for its own (PBM: storage-format.md §2).
 */
function isOwn({ object, backup }: { object: string; backup?: BackupDocument }): boolean {
  return object === backupMetadataName(backup?.name ?? '')
}

function listed(folders: readonly string[]): string {
  const shown = folders.slice(0, 5).join(', ')
  return folders.length > 5 ? `${shown} and ${folders.length - 5} more` : shown
}

/** Whether it is signed, but not by who has the key. Without the key nobody knows: the restore will. */
async function isForged(
  ciphers: Ciphers,
  store: ObjectStore,
  { name, signature }: BackupDocument,
  text: string,
  call: CallOptions,
): Promise<boolean> {
  if (signature === undefined) return false
  try {
    return (await signingKey(store, ciphers, name, text, call)) === undefined
  } catch (error) {
    if (isUnopened(error)) return false
    throw error
  }
}

/** Puts a backup whose objects are not all there to `error`; whether it did. */
async function markDamaged(store: ObjectStore, backup: BackupDocument, log: OperationLog, call: CallOptions) {
  let problems: string[]
  try {
    problems = await checkFiles(store, backup, call)
  } catch (error) {
    call.signal?.throwIfAborted()
    problems = [`its objects can't be checked: ${errorText(error)}`]
  }
  // Nobody would ever finish it.
  if (!BACKUP_STATES.terminal.includes(backup.status))
    problems.unshift(`its record says ${JSON.stringify(backup.status)}`)
  if (problems.length === 0) return false
  const shown = problems.length > 5 ? [...problems.slice(0, 5), `and ${problems.length - 5} more`] : problems
  backup.status = 'error'
  backup.error = shown.join('; ')
  log.warning(`backup ${backup.name} is damaged: ${backup.error}`)
  return true
}
