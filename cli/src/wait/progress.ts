import type { Progress } from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import { prettySize } from '../output/bytes.js'
import { shortDuration } from '../output/durations.js'
import { tableTime } from '../output/times.js'

/** What the replica sets of an operation have told so far, summed. */
export interface OverallProgress {
  /** A word for what is being done, of the first replica set. */
  phase: string
  bytes: number
  totalBytes: number
  documents: number
  totalDocuments: number
  bytesPerSecond: number
  /** Undefined as long as it can't be told. */
  secondsLeft: number | undefined
  /** Restores: the time up to which the oplog is replayed on every replica set, Unix seconds. */
  replayedTo?: number
}

/**
 * Undefined as long as no agent told anything: PBM's never do.
 *
 * Sums the progress of every replica set. Speed is measured between two tellings of the agents by their own clocks, since the
 * phase began, so a slow reader sees the same figures as a fast one.
 */
export function overallProgress(
  replsets: readonly { progress?: Progress; op?: Timestamp }[],
): OverallProgress | undefined {
  const told = replsets.flatMap(({ progress }) => (progress === undefined ? [] : [progress]))
  const [first] = told
  if (first === undefined) return undefined
  const sum = (field: 'bytes' | 'totalBytes' | 'documents' | 'totalDocuments') =>
    told.reduce((total, progress) => total + Number(progress[field]), 0)
  const bytes = sum('bytes')
  const totalBytes = Math.max(sum('totalBytes'), bytes)
  const milliseconds = Math.max(0, ...told.map(({ startedAt, updatedAt }) => Number(updatedAt) - Number(startedAt)))
  const bytesPerSecond = milliseconds > 0 ? Math.round((bytes * 1000) / milliseconds) : 0
  const reached = replsets.flatMap(({ op }) => (op === undefined || op.t === 0 ? [] : [op.t]))
  return {
    ...(reached.length === 0 || reached.length < replsets.length ? {} : { replayedTo: Math.min(...reached) }),
    phase: first.phase,
    bytes,
    totalBytes,
    documents: sum('documents'),
    totalDocuments: sum('totalDocuments'),
    bytesPerSecond,
    secondsLeft:
      bytesPerSecond > 0 && totalBytes > bytes ? Math.ceil((totalBytes - bytes) / bytesPerSecond) : undefined,
  }
}

const BAR_CELLS = 24

/** One line for a terminal of `columns`; what does not fit is left out from the right. */
export function progressLine(
  label: string,
  status: string,
  progress: OverallProgress | undefined,
  columns: number,
): string {
  const parts = progress === undefined ? [label, status] : [label, ...figures(progress)]
  while (parts.length > 2 && parts.join('  ').length > columns) parts.pop()
  return parts.join('  ').slice(0, columns)
}

function figures(progress: OverallProgress): string[] {
  const { phase, bytes, totalBytes, documents, totalDocuments, bytesPerSecond, secondsLeft, replayedTo } = progress
  // Index builds have no bytes, only a count.
  const [moved, all] = totalBytes > 0 ? [bytes, totalBytes] : [documents, totalDocuments]
  const share = all > 0 ? Math.min(1, moved / all) : 0
  const cells = Math.floor(share * BAR_CELLS)
  const parts = [
    `${'█'.repeat(cells)}${'░'.repeat(BAR_CELLS - cells)} ${String(Math.floor(share * 100)).padStart(3)}%`,
    phase,
  ]
  if (phase === 'oplog' && replayedTo !== undefined) parts.push(`up to ${tableTime(replayedTo)}`)
  if (bytes > 0) parts.push(`${prettySize(bytes)} of ${prettySize(totalBytes)}`)
  if (documents > 0) parts.push(`${documents.toLocaleString('en-US')} ${countedIn(phase)}`)
  if (bytesPerSecond > 0) parts.push(`${prettySize(bytesPerSecond)}/s`)
  if (secondsLeft !== undefined) parts.push(`${shortDuration(secondsLeft * 1000)} left`)
  return parts
}

/** What agents count as documents in a phase. */
export function countedIn(phase: string): string {
  if (phase === 'oplog') return 'operations'
  return phase === 'indexes' || phase === 'keys' ? phase : 'documents'
}
