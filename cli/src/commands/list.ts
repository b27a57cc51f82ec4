import {
  type BackupDocument,
  type Config,
  clusterTime,
  isMain,
  listBackups,
  listChunks,
  listLiveLocks,
  listRestores,
  type RestoreDocument,
  readConfig,
  requireProfile,
  rfc3339,
  tableTime,
} from '@pbmkit/core'
import { Command, Option } from 'commander'
import type { MongoClient } from 'mongodb'
import { incompatibilities } from '../incompatibilities.js'
import { NO_CONFIG } from '../no-configuration.js'
import { wholeNumber } from '../numbers.js'
import { prettySize } from '../output/bytes.js'
import { indent, table } from '../output/table.js'
import { basesOf, type PitrRange, rangesOf } from '../pitr-ranges.js'
import { addRemappingOption, type RemappingOption, remappingOf } from '../replset-remapping.js'
import { restoredPartText, shortened } from '../restored-part.js'
import { countUnsealed, unsealedChunks, unsealedChunksText } from '../sealed.js'
import type { Run, Session } from '../session.js'
import {
  isSelective,
  ofProfile,
  restoreTime,
  type Snapshot,
  sealedColumn,
  toSnapshot,
  verifiedColumn,
} from '../snapshots.js'

interface ListOptions extends RemappingOption {
  restore?: boolean
  size: number
  full?: boolean
  unbacked?: boolean
  profile?: string
  names?: boolean
}

/** `pbm list`: what can be restored, or with `--restore` what was. */
export function listCommand(run: Run): Command {
  const command = new Command('list')
    .description('list the backups that can be restored, and the point-in-time ranges')
    .option('--restore', 'list the restores instead')
    .option('--size <n>', 'only the newest n; 0 is all', wholeNumber('--size'), 0)
    .option('-f, --full', 'ranges of each replica set too')
    .option('--unbacked', 'ranges without a base backup too')
    .option('--profile <name>', 'only the backups on the storage of this profile; main is the main storage')
    .addOption(new Option('--names', 'only names, one a line, for shell completion').hideHelp())
  return addRemappingOption(command).action((options: ListOptions, self: Command) =>
    run(self, async (session) => {
      const leader = await session.leader()
      if (!isMain(options.profile)) await requireProfile(leader, options.profile)
      if (options.restore === true) await printRestores(session, leader, options)
      else await printBackups(session, leader, options)
    }),
  )
}

async function printBackups(session: Session, leader: MongoClient, options: ListOptions): Promise<void> {
  const { output } = session
  const locks = await listLiveLocks(leader)
  if (locks.some(({ type }) => type === 'resync'))
    output.warn(
      'the list is being read from the storage just now (resync) and may be incomplete; try again when pbm status says it has ended',
    )

  const [config, all, now] = await Promise.all([readConfig(leader), listBackups(leader), clusterTime(leader)])
  const backups = ofProfile(all, options.profile)
  const { finished, hidden } = await restorable(leader, backups, remappingOf(session, options))
  const snapshots = newest(finished, options.size).map((backup) => toSnapshot(backup, now, undefined, config))
  if (options.names === true) {
    for (const { name } of snapshots) output.entry(name, () => name)
    return
  }
  if (!isMain(options.profile)) {
    output.result({ snapshots }, () => snapshotsText(session, snapshots, hidden, config).join('\n'))
    return
  }
  const chunks = await listChunks(leader)
  const { ranges, rsRanges } = rangesOf(chunks, basesOf(backups), options)
  const unsealed = unsealedChunks(countUnsealed(chunks), config)
  const pitr = {
    on: config?.pitr?.enabled === true,
    ranges: newest(ranges, options.size),
    ...(options.full === true ? { rsRanges } : {}),
    ...(unsealed === undefined ? {} : { unsealedChunks: unsealed }),
  }
  output.result({ snapshots, pitr }, () => listText(session, snapshots, hidden, pitr, config))
}

/** Finished and compatible, oldest first, as PBM lists them; and why the other finished ones are left out. */
async function restorable(
  leader: MongoClient,
  backups: readonly BackupDocument[],
  remap: Readonly<Record<string, string>>,
): Promise<{ finished: BackupDocument[]; hidden: string[] }> {
  const reasons = await incompatibilities(leader, backups, remap)
  const finished = backups
    .filter((backup) => backup.status === 'done' && reasons.get(backup.name) === undefined)
    .sort((a, b) => a.last_write_ts.t - b.last_write_ts.t)
  return { finished, hidden: [...reasons.values()] }
}

function newest<Item>(items: readonly Item[], size: number): Item[] {
  return size > 0 ? items.slice(-size) : [...items]
}

function listText(
  session: Session,
  snapshots: readonly Snapshot[],
  hidden: readonly string[],
  pitr: {
    on: boolean
    ranges: readonly PitrRange[]
    rsRanges?: Record<string, readonly PitrRange[]>
    unsealedChunks?: number
  },
  config: Config | undefined,
): string {
  const { colours } = session.output
  const lines = snapshotsText(session, snapshots, hidden, config)
  lines.push('', `Point-in-time recovery: ${pitr.on ? colours.good('on') : 'off'}`)
  for (const range of pitr.ranges) lines.push(`  ${rangeText(range)}`)
  for (const [rs, ranges] of Object.entries(pitr.rsRanges ?? {}))
    lines.push(`  ${rs}:`, ...ranges.map((range) => `    ${rangeText(range)}`))
  if (pitr.unsealedChunks) lines.push(colours.caution(unsealedChunksText(pitr.unsealedChunks)))
  return lines.join('\n')
}

function snapshotsText(
  session: Session,
  snapshots: readonly Snapshot[],
  hidden: readonly string[],
  config: Config | undefined,
): string[] {
  const { colours } = session.output
  const lines: string[] = []
  if (config === undefined) lines.push(colours.caution(NO_CONFIG))
  const { head, cell } = sealedColumn(snapshots)
  const verified = verifiedColumn(snapshots, Math.floor(session.clock.now() / 1000))
  if (snapshots.length === 0) lines.push(noneText(hidden, config))
  else
    lines.push(
      'Backups:',
      indent(
        table(
          ['NAME', 'SIZE', 'TYPE', 'PROFILE', 'SELECTIVE', 'BASE', ...head, ...verified.head, 'RESTORE TIME (UTC)'],
          snapshots.map((snapshot) => [
            snapshot.name,
            snapshot.size === undefined ? '' : prettySize(snapshot.size),
            snapshot.type,
            snapshot.profile ?? 'main',
            isSelective(snapshot) ? 'yes' : 'no',
            snapshot.type === 'incremental' && snapshot.src === '' ? 'yes' : 'no',
            ...cell(snapshot),
            ...verified.cell(snapshot),
            restoreTime(snapshot),
          ]),
          colours,
        ),
      ),
    )
  if (hidden.length > 0) lines.push(colours.caution(hiddenText(hidden)))
  return lines
}

function noneText(hidden: readonly string[], config: Config | undefined): string {
  if (hidden.length > 0) return 'No backups that can be restored here.'
  return config === undefined ? 'No backups.' : 'No backups. Make one with pbm backup --wait.'
}

/** How many backups are left out, and for which reasons. */
function hiddenText(hidden: readonly string[]): string {
  const reasons = [...new Set(hidden)].slice(0, 3).join('; ')
  const what = hidden.length === 1 ? '1 finished backup is' : `${hidden.length} finished backups are`
  return `${what} not listed, since this cluster can't restore ${hidden.length === 1 ? 'it' : 'them'}: ${reasons}. See pbm status.`
}

export function rangeText({ range, noBaseSnapshot }: PitrRange): string {
  return `${tableTime(range.start)} - ${tableTime(range.end)}${noBaseSnapshot === true ? ' (no base backup)' : ''}`
}

/** One restore in the JSON of `list --restore`, with PBM's names. */
export interface RestoreEntry {
  start: number
  status: string
  type: 'snapshot' | 'pitr' | 'replay'
  snapshot?: string
  'start-point-in-time'?: number
  'point-in-time'?: number
  name: string
  namespaces?: string[]
  /** Ours: how a part was restored. */
  selection?: RestoreDocument['selection']
  /** Ours: the same in words. */
  part?: string
  error?: string
}

async function printRestores(session: Session, leader: MongoClient, options: ListOptions): Promise<void> {
  const entries = newest(await restoreEntries(leader), options.size)
  session.output.result(entries, () => {
    if (entries.length === 0) return 'No restores.'
    const { colours } = session.output
    const rows = entries.map((entry) => [
      entry.name,
      entry.type,
      entry.snapshot ?? '',
      entry['point-in-time'] === undefined ? '' : tableTime(entry['point-in-time']),
      shortened(entry.part ?? 'all'),
      rfc3339(entry.start),
      entry.error === undefined ? entry.status : `${entry.status}: ${entry.error}`,
    ])
    return `Restores:\n${indent(table(['NAME', 'KIND', 'BACKUP', 'POINT IN TIME', 'WHAT', 'STARTED', 'OUTCOME'], rows, colours))}`
  })
}

/** Oldest first. */
export async function restoreEntries(leader: MongoClient): Promise<RestoreEntry[]> {
  return (await listRestores(leader)).map(toRestoreEntry).reverse()
}

function toRestoreEntry(restore: RestoreDocument): RestoreEntry {
  const toTime = Number(restore.pitr ?? 0)
  const fromTime = Number(restore.start_pitr ?? 0)
  const part = restoredPartText(restore)
  return {
    start: Number(restore.start_ts),
    status: restore.status,
    type: toTime === 0 ? 'snapshot' : restore.backup === '' ? 'replay' : 'pitr',
    ...(restore.backup === '' ? {} : { snapshot: restore.backup }),
    ...(fromTime === 0 ? {} : { 'start-point-in-time': fromTime }),
    ...(toTime === 0 ? {} : { 'point-in-time': toTime }),
    name: restore.name,
    ...(restore.nss === undefined || restore.nss.length === 0 ? {} : { namespaces: restore.nss }),
    ...(restore.selection === undefined ? {} : { selection: restore.selection }),
    ...(part === undefined ? {} : { part }),
    ...(restore.error === undefined || restore.error === '' ? {} : { error: restore.error }),
  }
}
