import type { Progress } from '@pbmkit/core'
import { tableTime } from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import { prettySize } from '../output/bytes.js'
import { shortDuration } from '../output/durations.js'

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

/**
 * One line for a terminal of `columns`. What does not fit is left out: first the count, then the bar, then the bytes. Speed
 * and time left stay longest.
 */
export function progressLine(
  label: string,
  status: string,
  progress: OverallProgress | undefined,
  columns: number,
): string {
  if (progress === undefined) return `${label}  ${status}`.slice(0, columns)
  const { bar, share, phase, bytes, documents, speed, left } = figures(progress)
  const without: (string | undefined)[] = []
  const line = () =>
    [label, bar, share.padStart(4), phase, bytes, documents, speed, left]
      .filter((part) => part !== undefined && !without.includes(part))
      .join('  ')
  for (const part of [documents, bar, bytes, phase, share.padStart(4)]) if (line().length > columns) without.push(part)
  return line().slice(0, columns)
}

/** One line where there is no terminal: `backup X: 25%, collections, 1.0 MiB of 4.0 MiB, 512.0 KiB/s, 6s left`. */
export function plainLine(label: string, status: string, progress: OverallProgress | undefined): string {
  if (progress === undefined) return `${label}: ${status}`
  const { share, phase, bytes, documents, speed, left } = figures(progress)
  return `${label}: ${[share, phase, bytes, documents, speed, left].filter((part) => part !== undefined).join(', ')}`
}

interface Figures {
  readonly bar: string
  readonly share: string
  readonly phase: string
  readonly bytes: string | undefined
  readonly documents: string | undefined
  readonly speed: string | undefined
  readonly left: string | undefined
}

function figures(progress: OverallProgress): Figures {
  const { phase, bytes, totalBytes, documents, totalDocuments, bytesPerSecond, secondsLeft, replayedTo } = progress
  // Index builds have no bytes, only a count.
  const [moved, all] = totalBytes > 0 ? [bytes, totalBytes] : [documents, totalDocuments]
  const share = all > 0 ? Math.min(1, moved / all) : 0
  const cells = Math.floor(share * BAR_CELLS)
  const upTo = phase === 'oplog' && replayedTo !== undefined ? ` up to ${tableTime(replayedTo)}` : ''
  return {
    bar: `${'█'.repeat(cells)}${'░'.repeat(BAR_CELLS - cells)}`,
    share: `${Math.floor(share * 100)}%`,
    phase: `${phase}${upTo}`,
    bytes: bytes > 0 ? `${prettySize(bytes)} of ${prettySize(totalBytes)}` : undefined,
    documents: documents > 0 ? `${documents.toLocaleString('en-US')} ${countedIn(phase)}` : undefined,
    speed: bytesPerSecond > 0 ? `${prettySize(bytesPerSecond)}/s` : undefined,
    left: secondsLeft === undefined ? undefined : `${shortDuration(secondsLeft * 1000)} left`,
  }
}

/** What agents count as documents in a phase. */
export function countedIn(phase: string): string {
  if (phase === 'oplog') return 'operations'
  return phase === 'indexes' || phase === 'keys' ? phase : 'documents'
}
