import { type Document, type MongoClient, ObjectId } from 'mongodb'
import {
  headerDocument,
  isBesideOperations,
  type LockDocument,
  type LockHeader,
  lockCollection,
  removeLock,
} from '../control/locks.js'
import { recordOperation } from '../control/operations.js'
import { ensureControlCollection } from '../control/setup.js'
import { isDuplicateKey } from '../control/wire.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { clusterTime, isStale } from '../mongo/cluster-time.js'
import { CONTROL_DATABASE, OPERATIONS } from '../mongo/control-names.js'
import { type Clock, systemClock } from '../time/clock.js'
import { inTime } from '../time/deadline.js'
import { failOperation } from './fail-operation.js'
import { startHeartbeat } from './heartbeat.js'

export interface AcquireOptions {
  leader: MongoClient
  header: LockHeader
  clock?: Clock
  log?: OperationLog
  /** Told once, with the reason, when the lock is lost; beside the signal. */
  onLost?: (reason: PbmError) => void
  /**
   * Told of a dead holder whose lock was just removed, before the lock is taken. By default its backup or restore is
   * marked failed.
   */
  onStale?: (stale: LockDocument) => Promise<void>
}

export interface HeldLock {
  readonly header: LockHeader
  /** Aborted with a PbmError (LOCK_LOST, HEARTBEAT_LOST) as soon as the lock is lost: whatever it protects must stop. */
  readonly signal: AbortSignal
  /** Throws when the lock is lost. To be called right before a step that must not be done without it. */
  assertHeld(): void
  /** Idempotent; never rejects: what cannot be released becomes stale by itself. */
  release(): Promise<void>
  /** Looks after it no longer, and leaves it where it is: the database that has it goes away. */
  leave(): Promise<void>
}

/**
 * `concurrent`: another operation runs on this replica set. `taken`: another node of the set runs this one.
 * `done`: it has run on this set before.
 */
export interface LockRefused {
  refused: 'concurrent' | 'taken' | 'done'
  /** Whose lock stands in the way; absent for `done`. */
  by?: LockDocument
}

export function isHeld(outcome: HeldLock | LockRefused): outcome is HeldLock {
  return !('refused' in outcome)
}

/**
 * Takes the lock of a replica set for an operation, at most once per operation and replica set (PBM: control-plane.md
 * §3). A dead holder's lock is removed first, only while it is still the very document seen.
 *
 * PBM never tells a holder that its lock is gone; here the heartbeat is an update on the full header and the document's
 * own `_id`, and one that meets nothing aborts the holder's signal at once. A holder that cannot write heartbeats stops
 * before others may take the lock.
 */
export async function acquireLock(options: AcquireOptions): Promise<HeldLock | LockRefused> {
  const { leader, header } = options
  // The unique indexes are the lock. Were the collections dropped, an insert would make them anew without any.
  await Promise.all([lockCollection(header.type), OPERATIONS].map((name) => ensureControlCollection(leader, name)))
  // Each round either ends or removes a dead holder; contenders that win in between make further rounds needed.
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const since = (options.clock ?? systemClock).now()
    const id = await insertLock(leader, header)
    if (id !== undefined) return hold(options, id, since)
    const peer = await peerOf(leader, header)
    if (peer === undefined) continue
    if (!isStale(peer.hb, await clusterTime(leader))) {
      return { refused: peer.opid === header.opid ? 'taken' : 'concurrent', by: peer }
    }
    if (!(await removeLock(leader, peer))) continue
    const { onStale = (stale) => failOperation(leader, stale, holderDied(stale)) } = options
    await onStale(peer)
  }
  throw new PbmError('LOCK_UNSTABLE', `the lock of replica set ${header.replset} changes hands all the time`, {
    hint: 'See the pbmLock collection and the agents’ logs for who takes it',
  })
}

export function holderDied(lock: LockHeader): string {
  return `the agent of ${lock.replset}/${lock.node} died or lost its connection during the ${lock.type}: its lock is stale`
}

const MAX_ROUNDS = 20
/** Whoever has a lock is busy until it is given back: a cluster without a majority must not make that for ever. */
const RELEASE_MS = 30_000
/** Who has taken a lock is only told: work that has lost it must not go on for that. */
const HOLDER_MS = 1_000

async function hold(options: AcquireOptions, id: ObjectId, since: number): Promise<HeldLock | LockRefused> {
  const { leader, header, log, onLost } = options
  const locks = leader.db(CONTROL_DATABASE).collection(lockCollection(header.type))
  const own: Document = { _id: id, ...headerDocument(header) }
  const what = `the ${header.type} lock of ${header.replset}/${header.node}`
  let found = ''
  const lookFor = async () => {
    const late = () => new Error('no answer in time')
    found = await inTime(holderText(leader, header), HOLDER_MS, late).catch(() => 'its record is gone')
  }
  const heartbeat = startHeartbeat({
    clock: options.clock,
    since,
    beat: async () => {
      const beaten = await locks.updateOne(own, { $set: { hb: await clusterTime(leader) } })
      if (beaten.matchedCount === 0) await lookFor()
      return beaten.matchedCount === 1
    },
    reason: (why, cause) =>
      why === 'gone'
        ? new PbmError('LOCK_LOST', `${what} was lost: ${found}`, { hint: REMOVED_HINT })
        : new PbmError('HEARTBEAT_LOST', `${what} was given up: no heartbeat could be written in time`, { cause }),
    onFailure: (error) => log?.warning(`cannot write the heartbeat of ${what}: ${errorText(error)}`),
  })
  let released: Promise<void> | undefined
  const release = async () => {
    await heartbeat.stop()
    const late = () => new Error('no answer in time')
    try {
      const { deletedCount } = await inTime(locks.deleteOne(own), RELEASE_MS, late)
      if (deletedCount === 1 || heartbeat.signal.aborted) return
      // Between two heartbeats: the work has ended without being told.
      await lookFor()
      log?.warning(`${what} was lost before it was given back: ${found}. ${REMOVED_HINT}`)
    } catch (error) {
      log?.warning(`cannot release ${what}, it becomes stale: ${errorText(error)}`)
    }
  }
  const held: HeldLock = {
    header,
    signal: heartbeat.signal,
    assertHeld: heartbeat.assertAlive,
    leave: () => heartbeat.stop(),
    release: () => {
      released ??= release()
      return released
    },
  }
  const lost = () => {
    const reason = heartbeat.signal.reason as PbmError
    // Not every operation has a record, and not every stage says why it was stopped.
    log?.warning(errorText(reason))
    onLost?.(reason)
  }
  heartbeat.signal.addEventListener('abort', lost, { once: true })
  // Slicing is no operation: it has no id and goes on forever (PBM: control-plane.md §3).
  if (header.type === 'pitr') return held
  try {
    if (await recordOperation(leader, header)) return held
  } catch (error) {
    await held.release()
    throw error
  }
  await held.release()
  return { refused: 'done' }
}

const REMOVED_HINT =
  'Agents, also those of PBM, remove a lock without a heartbeat for more than 30 s: see their logs, and that nobody drops the control collections'

/** What stands where the lock was. */
async function holderText(leader: MongoClient, header: LockHeader): Promise<string> {
  const peer = await peerOf(leader, header)
  if (peer === undefined) return 'somebody has removed its record'
  const { type, replset, node, opid } = peer
  return `in its place is that of ${replset}/${node} for ${type}${opid === undefined ? '' : ` (operation ${opid})`}`
}

/** Undefined when the replica set is locked. */
async function insertLock(leader: MongoClient, header: LockHeader): Promise<ObjectId | undefined> {
  const locks = leader.db(CONTROL_DATABASE).collection(lockCollection(header.type))
  const _id = new ObjectId()
  const hb = await clusterTime(leader)
  try {
    await locks.insertOne({ _id, ...headerDocument(header), hb })
    return _id
  } catch (error) {
    if (isDuplicateKey(error)) {
      // A retry of our own insert, whose first answer was lost, meets itself.
      return (await locks.findOne({ _id }, { projection: { _id: 1 } })) === null ? undefined : _id
    }
    // It may have been stored, though not for good or without an answer; nobody would beat for it.
    await locks.deleteOne({ _id }).catch(() => undefined)
    throw error
  }
}

async function peerOf(leader: MongoClient, header: LockHeader): Promise<LockDocument | undefined> {
  const { replset, type } = header
  const found = await leader
    .db(CONTROL_DATABASE)
    .collection(lockCollection(type))
    .findOne(isBesideOperations(type) ? { replset, type } : { replset })
  return found === null ? undefined : (found as unknown as LockDocument)
}
