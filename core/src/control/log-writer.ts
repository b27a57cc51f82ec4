import type { MongoClient, Timestamp } from 'mongodb'
import type { Logger } from 'pino'
import { errorText, unacknowledged } from '../errors.js'
import type { OperationLog, Severity } from '../log.js'
import type { Member } from '../mongo/topology.js'
import { maskText } from '../mongo/uri.js'
import { printable, printableLine, textOf } from '../secrets/printable.js'
import { type Clock, systemClock } from '../time/clock.js'
import { appendLog, type LogEntry } from './log.js'

export interface LogContext {
  /** Name of the command or lock, `pitr`, `agentCheckup`, or ''. */
  event?: string
  /** Name of the backup or restore. */
  object?: string
  opid?: string
  /** Of the configuration. */
  epoch?: Timestamp
}

export interface Log {
  /** A log whose lines all carry this context. */
  operation(context?: LogContext): OperationLog
  /** Resolves when everything logged so far is stored, or after `patienceMs` (5 s) at the latest. */
  flush(patienceMs?: number): Promise<void>
  /** Flushes and stops; later lines go to the local output only. */
  close(patienceMs?: number): Promise<void>
}

export interface OpenLogOptions {
  leader: MongoClient
  local: Logger
  self: Member
  clock?: Clock
}

/** Entries held while the leader replica set cannot be reached; beyond, the oldest are lost and that is logged. */
const BUFFER_ENTRIES = 5_000
const BATCH_ENTRIES = 500
const RETRY_MS = 500
const PATIENCE_MS = 5_000

/**
 * The log of an agent: to the local output at once, and in the background to `admin.pbmLog` (PBM: control-plane.md §8).
 * Logging never waits and never throws. Secrets in MongoDB URIs are masked.
 */
export function openLog({ leader, local, self, clock = systemClock }: OpenLogOptions): Log {
  const stamp = stamper(clock)
  let buffer: LogEntry[] = []
  let lost = 0
  let writing: Promise<void> | undefined
  const closed = new AbortController()

  const write = async () => {
    while (buffer.length > 0 && !closed.signal.aborted) {
      const batch = buffer.slice(0, BATCH_ENTRIES)
      const lostBefore = lost
      try {
        await appendLog(leader, batch).catch((error: unknown) => {
          // What is written is not written again.
          if (unacknowledged(error) === undefined) throw error
        })
        // The buffer may have lost its head meanwhile, so it is not cut by count.
        const written = new Set(batch)
        buffer = buffer.filter((entry) => !written.has(entry))
        if (lostBefore > 0) {
          lost -= lostBefore
          add(2, {}, `${lostBefore} log entries were lost while the leader replica set could not be reached`)
        }
      } catch (error) {
        local.debug({ reason: maskText(errorText(error)) }, 'cannot write to pbmLog yet')
        await clock.sleep(RETRY_MS, closed.signal).catch(() => undefined)
      }
    }
  }
  const start = () => {
    if (writing !== undefined || closed.signal.aborted) return
    // Once the caller's turn is over, so that lines logged together are stored together.
    writing = Promise.resolve()
      .then(write)
      .finally(() => {
        writing = undefined
        if (buffer.length > 0) start()
      })
  }
  const add = (s: Severity, context: LogContext, message: string) => {
    const { event = '', object = '', opid, epoch } = context
    const msg = shown(message)
    const { ts, ns, tz } = stamp()
    if (closed.signal.aborted) return
    buffer.push({
      ...{ ts, ns, tz, s, rs: self.rs, node: self.node, e: event, eobj: printableLine(textOf(object)) },
      ...(epoch === undefined ? {} : { ep: epoch }),
      ...(opid === undefined ? {} : { opid }),
      msg,
    })
    if (buffer.length > BUFFER_ENTRIES) {
      buffer.shift()
      lost++
    }
    start()
  }

  const flush = async (patienceMs = PATIENCE_MS) => {
    const patience = new AbortController()
    const stored = (async () => {
      while (writing !== undefined) await writing
    })()
    await Promise.race([stored, clock.sleep(patienceMs, patience.signal).catch(() => undefined)])
    patience.abort()
  }

  return {
    operation: (context = {}) => {
      const { event, object, opid } = context
      const out = local.child({
        ...(event === undefined ? {} : { event }),
        ...(object === undefined ? {} : { object: textOf(object) }),
        ...(opid === undefined ? {} : { opid }),
      })
      return {
        debug: (message) => {
          out.debug(shown(message))
          add(4, context, message)
        },
        info: (message) => {
          out.info(shown(message))
          add(3, context, message)
        },
        warning: (message) => {
          out.warn(shown(message))
          add(2, context, message)
        },
        error: (message) => {
          out.error(shown(message))
          add(1, context, message)
        },
      }
    },
    flush,
    close: async (patienceMs) => {
      await flush(patienceMs)
      closed.abort()
    },
  }
}

/** What is said to be a text may have come from a collection, and be anything. */
function shown(message: unknown): string {
  return printable(maskText(textOf(message)))
}

/** Times that never repeat: entries of one millisecond keep their order under (ts, ns), by which readers sort. */
function stamper(clock: Clock): () => Pick<LogEntry, 'ts' | 'ns' | 'tz'> {
  let last = 0n
  return () => {
    const now = BigInt(Math.floor(clock.now())) * 1_000_000n
    last = now > last ? now : last + 1n
    return {
      ts: Number(last / 1_000_000_000n),
      ns: Number(last % 1_000_000_000n),
      // Not a negated product: at UTC that is -0, which BSON keeps as a double.
      tz: 0 - new Date(clock.now()).getTimezoneOffset() * 60,
    }
  }
}
