import { type MongoClient, ObjectId, Timestamp } from 'mongodb'
import { type Config, DEFAULT_COMPRESSION } from '../config/document.js'
import { durationOf } from '../config/duration.js'
import type { ScheduleConfig, ScheduledKind } from '../config/schedules.js'
import { type BackupFacts, eachDoneBackup } from '../control/backup-facts.js'
import { findBackup, findBackupByOpid } from '../control/backups.js'
import type { Command } from '../control/command-document.js'
import { findCommand, wasRefused } from '../control/commands.js'
import { findDrill } from '../control/drill.js'
import { drillFault } from '../control/drill-document.js'
import { listBesideLocks, listLocks } from '../control/locks.js'
import { queryLog } from '../control/log.js'
import { isMain, lifecycleOf, profileOf, requireStorage } from '../control/profiles.js'
import { namespacesOf } from '../control/run-documents.js'
import type { ScheduledRun } from '../control/schedule-state.js'
import { checkedSelection } from '../control/selection.js'
import { BACKUP_STATES, isTerminal } from '../control/state-machine.js'
import { findVerification } from '../control/verification.js'
import { faultOf } from '../control/verification-document.js'
import { PbmError } from '../errors.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { saysBusy } from '../protocol/busy.js'
import { rfc3339 } from '../time/text.js'

/** What a schedule does: the command that a person would send, and how one sees that it has ended. */
export interface ScheduledAction {
  /** It takes the lock of operations: of those one runs at a time. */
  readonly locks: boolean
  /** Rejects where there is nothing that agents could carry out. */
  command(schedule: ScheduleConfig, context: ActionContext): Promise<Command>
  /** Undefined while it goes on. */
  outcome(run: ScheduledRun, context: ActionContext): Promise<Outcome | undefined>
}

export interface ActionContext {
  readonly leader: MongoClient
  readonly config: Config
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** `busy`: it did not begin, for another operation was faster. */
export interface Outcome {
  readonly status: 'done' | 'failed' | 'busy'
  readonly why?: string
}

/** One row for each kind of `config/schedules.ts`. */
export const ACTIONS: Readonly<Record<ScheduledKind, ScheduledAction>> = {
  backup: { locks: true, command: backupOf, outcome: backupOutcome },
  lifecycle: {
    locks: true,
    command: async ({ profile = '' }, { leader }) => {
      await requireStorage(leader, profile)
      if ((await lifecycleOf(leader, profile)).enabled !== true)
        throw new PbmError('LIFECYCLE_OFF', 'lifecycle.enabled is not true, so all backups stay', {
          hint: 'Set it in the configuration or the profile, or remove the schedule',
        })
      const olderThan = new Timestamp({ t: 0, i: 0 })
      return { cmd: 'cleanup', cleanup: { olderThan, profile: named(profile), lifecycleAt: await clusterTime(leader) } }
    },
    outcome: lockedOutcome,
  },
  cleanup: {
    locks: true,
    command: async ({ profile = '', olderThan = '' }, { leader }) => {
      await requireStorage(leader, profile)
      const limit = new Timestamp({ t: await limitOf(leader, olderThan), i: 0 })
      return { cmd: 'cleanup', cleanup: { olderThan: limit, profile: named(profile) } }
    },
    outcome: lockedOutcome,
  },
  'delete-pitr': {
    locks: true,
    command: async ({ olderThan = '' }, { leader }) => ({
      cmd: 'deletePitr',
      deletePitr: { olderthan: await limitOf(leader, olderThan) },
    }),
    outcome: lockedOutcome,
  },
  verify: {
    locks: false,
    command: async ({ newerThan, readData = 100, profile = '' }, { leader }) => {
      await requireStorage(leader, profile)
      const since = newerThan === undefined ? {} : { since: await limitOf(leader, newerThan) }
      return { cmd: 'verify', verify: { all: true, ...since, readData, ...(!isMain(profile) && { profile }) } }
    },
    outcome: verifyOutcome,
  },
  drill: {
    locks: false,
    command: async ({ type, profile = '' }, { leader }) => {
      await requireStorage(leader, profile)
      const isAsked = (backup: BackupFacts) =>
        (type === undefined ? DRILLABLE.includes(backup.type) : backup.type === type) &&
        profileOf(backup) === (isMain(profile) ? undefined : profile)
      for await (const backup of eachDoneBackup(leader))
        if (isAsked(backup)) return { cmd: 'drill', drill: { backup: backup.name } }
      throw new PbmError('BACKUP_NOT_FOUND', 'there is no backup to drill')
    },
    outcome: drillOutcome,
  },
}

const DRILLABLE: readonly string[] = ['logical', 'physical']

/** How long agents may take to begin; PBM's look once a second, and a backup is first agreed on. */
const TAKE_UP_MS = 60_000

async function backupOf(schedule: ScheduleConfig, { leader, config, now }: ActionContext): Promise<Command> {
  const { type = 'logical', ns, withUsersAndRoles, profile, compression, compressionLevel } = schedule
  const { numParallelCollections, numParallelFiles } = schedule
  await requireStorage(leader, profile)
  const selection = checkedSelection(namespacesOf(ns), withUsersAndRoles)
  // A configured level is meant for the configured method.
  const level = compressionLevel ?? (compression === undefined ? config.backup?.compressionLevel : undefined)
  return {
    cmd: 'backup',
    backup: {
      ...{ type, base: false, name: await freeName(leader, now) },
      compression: compression ?? config.backup?.compression ?? DEFAULT_COMPRESSION,
      ...(level === undefined ? {} : { level }),
      ...(isMain(profile) ? {} : { profile }),
      ...(numParallelCollections ? { numParallelColls: numParallelCollections } : {}),
      ...(numParallelFiles ? { numParallelFiles } : {}),
      ...(selection === undefined ? {} : { nss: [...selection.entries] }),
      ...(withUsersAndRoles === true ? { usersAndRoles: true } : {}),
    },
  }
}

/** A backup is named by its second (PBM: cli-and-config.md §1.1). */
async function freeName(leader: MongoClient, now: number): Promise<string> {
  for (let second = Math.floor(now / 1000); ; second++) {
    const name = rfc3339(second)
    if ((await findBackup(leader, name)) === undefined) return name
  }
}

async function backupOutcome(run: ScheduledRun, context: ActionContext): Promise<Outcome | undefined> {
  const backup = await findBackupByOpid(context.leader, run.opid)
  if (backup === undefined) return await unbegun(run, context)
  if (!isTerminal(BACKUP_STATES, backup.status)) return undefined
  if (backup.status === 'done') return { status: 'done' }
  const why = backup.error || (backup.status === 'canceled' ? 'it was canceled' : 'no reason was recorded')
  return { status: saysBusy(why) ? 'busy' : 'failed', why }
}

/** Of an operation that has only a lock, and says in the log how it ended. */
async function lockedOutcome(run: ScheduledRun, context: ActionContext): Promise<Outcome | undefined> {
  const ended = await loggedOutcome(run, context)
  if (ended !== undefined) return ended
  const isHeld = (await listLocks(context.leader, { opid: run.opid })).length > 0
  return isHeld ? undefined : unanswered(run, context)
}

/** That all was looked at is not enough: it has to be right. */
async function verifyOutcome(run: ScheduledRun, context: ActionContext): Promise<Outcome | undefined> {
  const { leader } = context
  const report = (await findVerification(leader, run.opid))?.report
  if (report !== undefined)
    return report.result === 'good' ? { status: 'done' } : { status: 'failed', why: faultOf(report) }
  const ended = await loggedOutcome(run, context)
  if (ended !== undefined) return ended
  const isHeld = (await listBesideLocks(leader, { opid: run.opid })).length > 0
  return isHeld ? undefined : unanswered(run, context)
}

/** Each replica set that the backup has is drilled, and all has to be right. */
async function drillOutcome(run: ScheduledRun, context: ActionContext): Promise<Outcome | undefined> {
  const { leader } = context
  const reports = (await findDrill(leader, run.opid)).flatMap(({ report }) => report ?? [])
  const sent = await findCommand(leader, new ObjectId(run.opid))
  const backup = sent?.cmd === 'drill' ? await findBackup(leader, sent.drill.backup) : undefined
  const ended = await loggedOutcome(run, context)
  if (ended !== undefined && ended.status !== 'done') return ended
  if (reports.length > 0 && reports.length >= (backup?.replsets.length ?? 0)) {
    const isGood = reports.every(({ result }) => result === 'good')
    return isGood ? { status: 'done' } : { status: 'failed', why: drillFault(reports) }
  }
  const isHeld = (await listBesideLocks(leader, { opid: run.opid })).length > 0
  return isHeld ? undefined : unanswered(run, context)
}

/** Of a backup without a record. */
async function unbegun(run: ScheduledRun, context: ActionContext): Promise<Outcome | undefined> {
  return (await loggedOutcome(run, context)) ?? unanswered(run, context)
}

/** What the log says: why it was refused, or that it is done. */
async function loggedOutcome({ opid }: ScheduledRun, { leader }: ActionContext): Promise<Outcome | undefined> {
  if (await wasRefused(leader, new ObjectId(opid))) return { status: 'busy' }
  const entries = await queryLog(leader, { opid, severity: 3, tail: 20 })
  const error = entries.find(({ s }) => s <= 1)
  if (error !== undefined) return { status: saysBusy(error.msg) ? 'busy' : 'failed', why: error.msg }
  return entries.some(({ msg }) => msg === 'done') ? { status: 'done' } : undefined
}

/** It is neither under way nor said how it ended. */
function unanswered({ sentAt }: ScheduledRun, { now }: ActionContext): Outcome | undefined {
  if (now - (sentAt ?? now) < TAKE_UP_MS) return undefined
  return { status: 'failed', why: `no agent said within ${TAKE_UP_MS / 1000} s that it works at it, or how it ended` }
}

async function limitOf(leader: MongoClient, olderThan: string): Promise<number> {
  return (await clusterTime(leader)).t - Math.round(durationOf(olderThan) / 1000)
}

function named(profile: string): string {
  return isMain(profile) ? '' : profile
}
