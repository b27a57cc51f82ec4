import {
  type BackupDocument,
  clusterMembers,
  clusterTime,
  type DrillReport,
  findDrill,
  isStale,
  listBackups,
  listChunks,
  optime,
  PbmError,
  planPointInTime,
  requireConfig,
} from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient, Timestamp } from 'mongodb'
import { drillText } from '../drill.js'
import { EXIT, notSupportedYet, usageError } from '../errors.js'
import { requireBackup } from '../find-backup.js'
import { parseMoment } from '../output/times.js'
import { basesOf } from '../pitr-ranges.js'
import { agentsView } from '../preflight.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { waitForOperation } from '../wait/operation.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'
import { overallProgress } from '../wait/progress.js'
import { showProgress } from '../wait/progress-bar.js'

interface DrillOptions extends WaitOptions {
  time?: string
  baseSnapshot?: string
}

/** `pbm drill`: a restore to a server that is made for it. Nothing of the cluster's data is touched. */
export function drillCommand(run: Run): Command {
  const command = new Command('drill')
    .description('restore a backup to a server of its own, look at the data there, and tell how long it took')
    .argument('[backup]', 'name of the backup, as pbm list has it; default: the newest')
    .option('--time <time>', 'the point in time: 2031-02-03T04:05:06 (UTC), 2031-02-03, or T,I')
    .option('--base-snapshot <name>', 'with --time: the backup to start from instead of the newest that leads there')
  addWaitOptions(command, 'it has ended, which is the default')
  return command
    .option('--no-wait', 'do not wait; pbm status and pbm describe-backup show what comes of it')
    .action((name: string | undefined, options: DrillOptions, self: Command) =>
      run(self, (session) => drill(session, name, options)),
    )
}

async function drill(session: Session, name: string | undefined, options: DrillOptions): Promise<void> {
  const { baseSnapshot } = options
  if (name !== undefined && options.time !== undefined)
    throw usageError('--time does not go with a name', 'Name the backup to start from with --base-snapshot.')
  if (baseSnapshot !== undefined && options.time === undefined)
    throw usageError('--base-snapshot goes only with --time')
  const time = options.time === undefined ? undefined : parseMoment(options.time, '--time')
  const deadline = waitDeadline({ ...options, wait: options.wait !== false }, session.clock)
  const leader = await session.leader()
  await requireConfig(leader)
  const backup = await chosen(leader, name ?? baseSnapshot, time)
  const replsets = await drilledReplsets(leader, backup)
  const asked = { backup: backup.name, ...(time === undefined ? {} : { time }) }
  const opid = await send(leader, { cmd: 'drill', drill: asked })
  if (options.wait === false) {
    const report = { opid, backup: backup.name, status: 'running' }
    session.output.result(report, () => `The drill of ${backup.name} runs. See what comes of it: pbm status`)
    return
  }
  if (!session.output.json) session.output.note(`Starting the drill of ${backup.name} …`)
  const reports = await waitForReports(session, leader, { opid, replsets, deadline })
  const result = reports.every((one) => one.result === 'good') ? 'good' : 'failed'
  const restoreSeconds = Math.max(...reports.map((one) => one.restoreSeconds))
  const told = { backup: backup.name, opid, result, restoreSeconds, replsets: reports }
  session.output.result(told, () => drillText(reports, session.output.colours))
  if (result !== 'good') session.exitCode = EXIT.failure
}

/** The named one, the one that leads to a time, or the newest. */
async function chosen(
  leader: MongoClient,
  name: string | undefined,
  time: Timestamp | undefined,
): Promise<BackupDocument> {
  if (time !== undefined) {
    const [backups, chunks] = await Promise.all([listBackups(leader), listChunks(leader)])
    const bases = basesOf(backups)
    const base = name === undefined ? undefined : await requireBackup(leader, name)
    return planPointInTime({ chunks, bases, base, target: optime(time) })
  }
  const backup = name === undefined ? await newest(leader) : await requireBackup(leader, name)
  if (backup.status !== 'done')
    throw new PbmError('BACKUP_NOT_DONE', `backup ${backup.name} can't be restored: it is '${backup.status}'`, {
      hint: 'pbm list shows the backups that can be.',
    })
  if (backup.type !== 'logical' && backup.type !== 'physical')
    throw notSupportedYet(`a drill of ${backup.type} backups`, 'Choose a logical or a physical one.')
  return backup
}

async function newest(leader: MongoClient): Promise<BackupDocument> {
  const done = (await listBackups(leader)).filter(
    ({ status, type }) => status === 'done' && (type === 'logical' || type === 'physical'),
  )
  const [first] = done.toSorted((a, b) => b.last_write_ts.compare(a.last_write_ts))
  if (first !== undefined) return first
  throw new PbmError('BACKUP_NOT_FOUND', 'there is no backup to drill', { hint: 'Make one: pbm backup --wait.' })
}

/** Those of the cluster that the backup has; on each a live agent of ours has to be. */
async function drilledReplsets(leader: MongoClient, backup: BackupDocument): Promise<string[]> {
  const { agents } = await agentsView(leader)
  const now = await clusterTime(leader)
  const cluster = new Set((await clusterMembers(leader)).map(({ rs }) => rs))
  const replsets = backup.replsets.map(({ name }) => name).filter((name) => cluster.has(name))
  if (replsets.length === 0)
    throw new PbmError('DRILL_FOREIGN', `backup ${backup.name} has none of this cluster's replica sets`)
  for (const rs of replsets) {
    const own = agents.filter((agent) => agent.rs === rs && agent.plugins !== undefined && !agent.arb)
    if (own.some(({ hb }) => !isStale(hb, now))) continue
    throw new PbmError('NO_AGENTS', `no live pbm-agent of pbmkit serves the replica set ${rs}`, {
      hint: 'Start one beside a member.',
    })
  }
  return replsets
}

async function waitForReports(
  session: Session,
  leader: MongoClient,
  { opid, replsets, deadline }: { opid: string; replsets: readonly string[]; deadline: number | undefined },
): Promise<DrillReport[]> {
  const display = showProgress(session, 'drill', opid)
  let reports: DrillReport[] = []
  const ended = async () => {
    const notes = await findDrill(leader, opid)
    reports = notes.flatMap(({ report }) => report ?? [])
    if (reports.length < replsets.length) display.update('running', overallProgress(notes))
    return reports.length >= replsets.length
  }
  try {
    const operation = { opid, title: 'drill', event: 'drill', replsets }
    await waitForOperation(session, leader, operation, { deadline, ended })
  } finally {
    display.stop()
  }
  if (reports.length >= replsets.length) return reports.toSorted((a, b) => a.rs.localeCompare(b.rs))
  throw new PbmError('NO_ANSWER', 'not every agent said what came of the drill', {
    hint: `See pbm logs -e drill -i ${opid} -t 0.`,
  })
}
