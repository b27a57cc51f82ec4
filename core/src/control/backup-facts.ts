import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { BACKUPS, CONTROL_DATABASE } from '../mongo/control-names.js'
import type { BackupDocument, Progress } from './backup-document.js'
import { UNSET_TIMESTAMP } from './backups.js'
import { type LastDrill, lastDrill, readDrills } from './drill-document.js'
import { isDocument, readList, readNumber } from './wire.js'

/** A backup in short, for who looks at all of them again and again. Times are Unix seconds. */
export interface BackupFacts {
  readonly name: string
  readonly opid: string
  readonly type: BackupDocument['type']
  readonly status: BackupDocument['status']
  readonly nss: string[]
  /** Where it lies: `name` of its profile; `main` storage where that is not one. */
  readonly store: { readonly profile?: true; readonly name?: string; readonly type: string }
  readonly startedAt: number
  /** When its state changed last: its end, where it has ended. */
  readonly changedAt: number
  readonly size: number
  readonly last_write_ts: Timestamp
  /** What the last `pbm verify` of it found; absent where it never was. */
  readonly verification?: { readonly at: number; readonly result: string }
  /** The same of the last `pbm drill`. */
  readonly drill?: LastDrill
  readonly replsets: readonly ReplsetFacts[]
}

export interface ReplsetFacts {
  readonly name: string
  readonly node: string
  readonly size: number
  readonly uncompressed: number
  readonly progress?: Progress
}

/** No options of storages, which may hold secrets, and none of the long lists. */
export const BACKUP_FACTS: Document = {
  ...{ name: 1, opid: 1, type: 1, status: 1, nss: 1, start_ts: 1, last_transition_ts: 1, size: 1, last_write_ts: 1 },
  ...{ 'store.profile': 1, 'store.name': 1, 'store.type': 1 },
  ...{ 'replsets.name': 1, 'replsets.node': 1, 'replsets.size': 1, 'replsets.size_uncompressed': 1 },
  ...{ 'replsets.progress': 1, 'verification.at': 1, 'verification.result': 1 },
  ...{ 'drills.rs': 1, 'drills.at': 1, 'drills.result': 1, 'drills.restoreSeconds': 1, 'drills.opid': 1 },
}

/** All of them, newest first. */
export async function listBackupFacts(leader: MongoClient): Promise<BackupFacts[]> {
  const found = await leader
    .db(CONTROL_DATABASE)
    .collection(BACKUPS)
    .find({}, { sort: { start_ts: -1 }, projection: BACKUP_FACTS })
    .toArray()
  return found.flatMap((document) => toBackupFacts(document) ?? [])
}

/** Those that are done, the one with the newest data first. */
export async function* eachDoneBackup(leader: MongoClient): AsyncGenerator<BackupFacts> {
  const done = { status: 'done', last_write_ts: { $type: 'timestamp' } } as Document
  const found = leader.db(CONTROL_DATABASE).collection(BACKUPS).find(done, { projection: BACKUP_FACTS })
  for await (const document of found.sort({ last_write_ts: -1 })) {
    const backup = toBackupFacts(document)
    if (backup !== undefined) yield backup
  }
}

/** Undefined for a document without a name: whatever it is, it is no backup. */
export function toBackupFacts(found: Document): BackupFacts | undefined {
  const { name, opid, type, status, store, verification } = found
  if (typeof name !== 'string') return undefined
  return {
    name,
    opid: String(opid),
    type: (type as BackupDocument['type'] | '' | undefined) || 'logical',
    status,
    nss: readList(found.nss as string[] | null),
    store: isDocument(store) ? (store as BackupFacts['store']) : { type: '' },
    startedAt: readNumber(found.start_ts),
    changedAt: readNumber(found.last_transition_ts),
    size: readNumber(found.size),
    last_write_ts: found.last_write_ts instanceof Timestamp ? found.last_write_ts : UNSET_TIMESTAMP,
    ...(isDocument(verification) && {
      verification: { at: readNumber(verification.at), result: String(verification.result) },
    }),
    ...drillOf(found.drills, readList(found.replsets as Document[] | null).length),
    replsets: readList(found.replsets as Document[] | null)
      .filter(isDocument)
      .map(toReplsetFacts),
  }
}

function drillOf(drills: unknown, replsets: number): { drill?: LastDrill } {
  const drill = lastDrill(readDrills(drills), replsets)
  return drill === undefined ? {} : { drill }
}

export function toReplsetFacts({ name, node, size, size_uncompressed, progress }: Document): ReplsetFacts {
  return {
    name: String(name),
    node: String(node),
    size: readNumber(size),
    uncompressed: readNumber(size_uncompressed),
    ...(isDocument(progress) && { progress: progress as Progress }),
  }
}

/** How many there are, without looking at them. */
export function countBackups(leader: MongoClient): Promise<number> {
  return leader.db(CONTROL_DATABASE).collection(BACKUPS).estimatedDocumentCount()
}
