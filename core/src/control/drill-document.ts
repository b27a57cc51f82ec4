import type { Timestamp } from 'bson'
import { isDocument, readNumber } from './wire.js'

/** How a check ended; `fault` is absent where all is as it should be. */
export interface CheckResult {
  readonly ns: string
  readonly query?: string
  /** Documents that fit; counting ends at what was asked for. Absent where they could not be counted. */
  readonly count?: number
  /** Unix milliseconds. */
  readonly newest?: number
  readonly fault?: string
}

/** How a drill of one replica set's part of a backup ended. */
export interface DrillReport {
  readonly result: 'good' | 'failed'
  readonly backup: string
  readonly rs: string
  /** `host:port` of the member beside which it was made. */
  readonly node: string
  /** What was asked for; the end of the backup when absent. */
  readonly time?: Timestamp
  /** From the first byte that was read to a server that serves all of it: the time to recovery. */
  readonly restoreSeconds: number
  /** With what was looked at then. */
  readonly totalSeconds: number
  /** Of users' databases. */
  readonly collections: number
  readonly documents: number
  readonly indexes: number
  /** What is not right, the first of it. */
  readonly faults: readonly string[]
  /** Faults beyond those. */
  readonly more: number
  /** Those of the configuration, in its order. */
  readonly checks: readonly CheckResult[]
}

/** Ours, in the record of a backup in `pbmBackups`: its last drill on a replica set. PBM ignores it. */
export interface DrilledReplset {
  readonly rs: string
  /** Unix seconds by the agent's clock. */
  readonly at: number
  readonly result: DrillReport['result']
  readonly restoreSeconds: number
  /** `rs/host:port` of the agent. */
  readonly by: string
  readonly opid: string
  /** The first of them. */
  readonly faults: readonly string[]
  readonly time?: Timestamp
}

/** Of all replica sets together. */
export interface LastDrill {
  /** Unix seconds. */
  readonly at: number
  readonly result: DrillReport['result']
  /** Of the replica set that took longest: all are restored at once. */
  readonly restoreSeconds: number
  readonly opid: string
}

/** What a record has, in which anything may stand. */
export function readDrills(found: unknown): DrilledReplset[] {
  if (!Array.isArray(found)) return []
  return found.filter(isDocument).map((one: Record<string, unknown>) => ({
    ...{ rs: String(one.rs), by: String(one.by), opid: String(one.opid), at: readNumber(one.at) },
    result: one.result === 'good' ? 'good' : 'failed',
    restoreSeconds: readNumber(one.restoreSeconds),
    faults: Array.isArray(one.faults) ? one.faults.map(String) : [],
  }))
}

/**
 * The newest drill; undefined where there was none, and as long as it may still fail on one of the replica sets of the backup, of
 * which there are so many. Pure.
 */
export function lastDrill(drills: readonly DrilledReplset[], replsets: number): LastDrill | undefined {
  const newest = drills.toSorted((a, b) => b.at - a.at)[0]
  if (newest === undefined) return undefined
  const own = drills.filter(({ opid }) => opid === newest.opid)
  const isGood = own.every(({ result }) => result === 'good')
  if (isGood && own.length < replsets) return undefined
  return {
    at: newest.at,
    result: isGood ? 'good' : 'failed',
    restoreSeconds: Math.max(...own.map(({ restoreSeconds }) => restoreSeconds)),
    opid: newest.opid,
  }
}

/** In one line, what is wrong. */
export function drillFault(reports: readonly DrillReport[]): string {
  const faults = reports.flatMap(({ rs, faults }) => faults.map((fault) => `${rs}: ${fault}`))
  const more = reports.reduce((sum, one) => sum + one.more, 0) + Math.max(0, faults.length - 3)
  return [...faults.slice(0, 3), ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}
