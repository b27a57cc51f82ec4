import type { MongoClient } from 'mongodb'
import { errorText, PbmError } from '../../errors.js'
import { connectNode } from '../../mongo/connect.js'
import {
  type CursorFile,
  findCursorFile,
  isSameCursorFile,
  LOCK_APP,
  lockWrites,
  processOf,
  unlockWrites,
} from '../../mongo/fsync-lock.js'
import { endProcess } from '../../plugin-host/end-process.js'
import { removeLockRecord, writeLockRecord } from '../../recovery/forgotten-lock.js'
import { systemClock } from '../../time/clock.js'
import { type WatchdogOrder, type WatchdogWord, whyUnlock } from './watchdog-words.js'

/*
 * The one process that locks a mongod and unlocks it: at the agent's word, at the deadline, when the agent is silent or gone,
 * and when it is told to stop itself. It does nothing else, so nothing else can keep it from that.
 */

const LOOK_MS = 100
const UNLOCK_PAUSE_MS = 250
/** A mongod that can't be reached for so long has been shut down, and its lock with it. */
const UNREACHABLE_MS = 300_000

process.title = LOCK_APP

let client: MongoClient | undefined
let opened: (WatchdogOrder & { kind: 'open' }) | undefined
let asked: number | undefined
/** Settled when the server has answered to the lock, with whether it is held. */
let locking: Promise<boolean> | undefined
let held: CursorFile | undefined
let lastBeat = now()
let ending: Promise<void> | undefined

process.on('message', (order: WatchdogOrder) => {
  lastBeat = now()
  void take(order).catch((error: unknown) => fail(error))
})
process.once('disconnect', () => void end('the agent is gone'))
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void end(`${signal} came`))

/** Whatever the clock of the machine does. */
function now(): number {
  return performance.now()
}

function tell(word: WatchdogWord): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected !== true || process.send === undefined) resolve()
    else process.send(word, () => resolve())
  })
}

async function take(order: WatchdogOrder): Promise<void> {
  if (order.kind === 'open') {
    opened = order
    // While it is still nobody's: logging in takes longer on a busy machine.
    client = await connectNode(order.uri, { appName: LOCK_APP })
    await tell({ kind: 'ready' })
  } else if (order.kind === 'lock') {
    asked = now()
    locking = lock()
    watch()
    if ((await locking) && ending === undefined) await tell({ kind: 'locked' })
  } else if (order.kind === 'release') await end()
}

async function lock(): Promise<boolean> {
  const { node, dbPath } = open()
  // What is not on the disk yet would be written under the lock.
  await node.db('admin').command({ fsync: 1 })
  if ((await findCursorFile(dbPath)) !== undefined) {
    throw new PbmError('LOCKED_BY_OTHERS', `${dbPath} is locked by somebody else, or being backed up`, {
      hint: 'See db.currentOp().fsyncLock there; db.fsyncUnlock() ends a lock that was forgotten',
    })
  }
  const record = { process: await processOf(node), since: Date.now() }
  await writeLockRecord(dbPath, record)
  asked = now()
  const locks = await lockWrites(node)
  try {
    held = await findCursorFile(dbPath)
    if (held === undefined) {
      throw new PbmError('PHYSICAL_UNFIT', `the files in ${dbPath} are not those of the mongod that was locked`, {
        hint: 'Run the agent on the machine of its mongod',
      })
    }
    if (locks > 1) throw new PbmError('LOCKED_BY_OTHERS', 'somebody else has locked the mongod at the same moment')
    await writeLockRecord(dbPath, { ...record, cursor: held })
    return true
  } catch (error) {
    await unlock({ isOurs: true })
    throw error
  }
}

function watch(): void {
  const look = (): void => {
    if (ending !== undefined || asked === undefined) return
    const why = whyUnlock({ now: now(), asked, lastBeat, maxLockMs: open().maxLockMs })
    if (why !== undefined) void end(why)
    else setTimeout(look, LOOK_MS)
  }
  look()
}

function open() {
  if (opened === undefined || client === undefined) throw new Error('an order came before the server was connected to')
  return { node: client, dbPath: opened.dbPath, maxLockMs: opened.maxLockMs }
}

/** The agent waits for no word after this one. */
async function fail(error: unknown): Promise<void> {
  const code = error instanceof PbmError ? error.code : 'LOCK_FAILED'
  await tell({ kind: 'failed', code, error: errorText(error) })
  await client?.close().catch(() => undefined)
  endProcess(1)
}

function end(fault?: string): Promise<void> {
  ending ??= unlockAndEnd(fault)
  return ending
}

async function unlockAndEnd(fault?: string): Promise<void> {
  // A lock that waits for an open transaction can't be taken back: it is ended once it is granted.
  if (fault !== undefined) await tell({ kind: 'released', lockedMs: asked === undefined ? 0 : now() - asked, fault })
  const isHeld = await locking?.catch(() => false)
  // What was copied after it was ended is not of one moment.
  const isLost = isHeld === true && !(await unlock({ isOurs: await isStillOurs() }))
  const word = { kind: 'released', lockedMs: asked === undefined ? 0 : now() - asked } as const
  if (fault === undefined) await tell(isLost ? { ...word, fault: ENDED_BY_OTHERS } : word)
  await client?.close().catch(() => undefined)
  endProcess(0)
}

/** A server that was restarted meanwhile may have been locked by somebody else. */
async function isStillOurs(): Promise<boolean> {
  if (held === undefined) return false
  const own = held
  return await findCursorFile(open().dbPath).then(
    (found) => isSameCursorFile(own, found),
    () => true,
  )
}

/** Until it is done: nobody else may know of the lock. Whether it was held until then. */
async function unlock({ isOurs }: { isOurs: boolean }): Promise<boolean> {
  const { node, dbPath } = open()
  const since = now()
  let wasHeld = false
  for (;;) {
    try {
      if (isOurs) {
        await unlockWrites(node)
        wasHeld = true
      }
      break
    } catch (error) {
      // It is not locked: the server has been restarted, or somebody else has unlocked it.
      if ((error as { code?: unknown }).code === ILLEGAL_OPERATION) break
      if (now() - since > UNREACHABLE_MS) break
      await systemClock.sleep(UNLOCK_PAUSE_MS)
    }
  }
  await removeLockRecord(dbPath).catch(() => undefined)
  return wasHeld
}

const ENDED_BY_OTHERS = 'somebody else has unlocked the mongod, or it was restarted'
const ILLEGAL_OPERATION = 20
