import { clusterTime, isMain, readConfig, requireStorage, storageOptions, tableTime } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { incompatibilities } from '../incompatibilities.js'
import { prettySize } from '../output/bytes.js'
import type { Colours } from '../output/colour.js'
import { indent, table } from '../output/table.js'
import { basesOf, type PitrRange, rangesOf } from '../pitr-ranges.js'
import { unsealedChunks, unsealedChunksText } from '../sealed.js'
import type { Session } from '../session.js'
import {
  isSelective,
  ofProfile,
  restoreTime,
  type Snapshot,
  sealedColumn,
  toSnapshot,
  verifiedColumn,
} from '../snapshots.js'
import { storagePlace } from '../storage-place.js'
import type { StoredHistory } from './history.js'

/** How PBM's status calls its storages; others are called as in the configuration. */
const PBM_STORAGE_WORDS: Readonly<Record<string, string>> = {
  filesystem: 'FS',
  s3: 'S3',
  gcs: 'GCS',
  azure: 'Azure',
  minio: 'Minio',
  oss: 'OSS',
  oci: 'OCI',
}

/** The `backups` section, with PBM's names. */
export interface BackupsSection {
  /** In PBM's words: `FS`, `S3`. */
  type: string
  path: string
  region?: string
  snapshot: Snapshot[]
  /** `unsealed` is ours: how many chunks are not sealed, with encryption configured. */
  pitrChunks: { pitrChunks?: PitrRange[]; size: number; unsealed?: number }
}

/** All backups, newest first: finished, failed, canceled, running and stuck. */
export async function backupsSection(
  session: Session,
  leader: MongoClient,
  history: StoredHistory,
  profile?: string,
  remap: Readonly<Record<string, string>> = {},
): Promise<BackupsSection> {
  const storage = await requireStorage(leader, profile)
  const [all, now, config, oplog] = await Promise.all([
    history.backups(),
    clusterTime(leader),
    readConfig(leader),
    history.oplog(),
  ])
  const backups = ofProfile(all, profile)
  const reasons = await incompatibilities(leader, backups, remap)
  // The oplog lies on the main storage only.
  const ranges = isMain(profile) ? rangesOf(oplog.bounds, basesOf(all), { unbacked: true }).ranges : []
  const unsealed = isMain(profile) ? unsealedChunks(oplog.unsealed, config) : undefined
  const region = await regionOf(session, storage)
  return {
    type: PBM_STORAGE_WORDS[storage.type] ?? storage.type,
    path: await storagePlace(session.plugins, storage),
    ...(region === undefined ? {} : { region }),
    snapshot: backups
      .map((backup) => toSnapshot(backup, now, reasons.get(backup.name), config))
      .sort((a, b) => b.restoreTo - a.restoreTo || (a.name < b.name ? 1 : -1)),
    pitrChunks: {
      ...(ranges.length === 0 ? {} : { pitrChunks: ranges.toSorted((a, b) => b.range.end - a.range.end) }),
      size: isMain(profile) ? oplog.bytes : 0,
      ...(unsealed === undefined ? {} : { unsealed }),
    },
  }
}

async function regionOf(session: Session, storage: Parameters<typeof storageOptions>[0]): Promise<string | undefined> {
  const plugin = await session.plugins.storage(storage.type).catch(() => undefined)
  const region = plugin === undefined ? undefined : storageOptions(storage, plugin).region
  return typeof region === 'string' && region !== '' ? region : undefined
}

export function backupsText(section: BackupsSection, colours: Colours): string {
  const lines = [`${section.type} ${section.path}${section.region === undefined ? '' : ` (${section.region})`}`]
  if (section.snapshot.length === 0) lines.push('No backups. Make one with pbm backup --wait.')
  else {
    const { head, cell } = sealedColumn(section.snapshot)
    const verified = verifiedColumn(section.snapshot, Math.floor(Date.now() / 1000))
    const rows = section.snapshot.map((snapshot) => [
      snapshot.name,
      snapshot.size === undefined ? '-' : prettySize(snapshot.size),
      snapshot.type,
      snapshot.profile ?? 'main',
      isSelective(snapshot) ? 'yes' : 'no',
      ...cell(snapshot),
      ...verified.cell(snapshot),
      snapshot.printStatus === 'success' ? restoreTime(snapshot) : '-',
      stateText(snapshot, colours),
    ])
    lines.push(
      table(
        ['NAME', 'SIZE', 'TYPE', 'PROFILE', 'SELECTIVE', ...head, ...verified.head, 'RESTORE TIME (UTC)', 'STATE'],
        rows,
        colours,
      ),
    )
  }
  const { pitrChunks: ranges, size, unsealed } = section.pitrChunks
  if (ranges !== undefined) {
    lines.push(`Point-in-time ranges (${prettySize(size)}):`)
    for (const { range, noBaseSnapshot } of ranges)
      lines.push(
        indent(
          `${tableTime(range.start)} - ${tableTime(range.end)}${noBaseSnapshot === true ? ' (no base backup)' : ''}`,
        ),
      )
  }
  if (unsealed) lines.push(colours.caution(unsealedChunksText(unsealed)))
  return lines.join('\n')
}

/** Enough of a reason to know it by; all of it is in `describe-backup`. */
const REASON_LETTERS = 100

function stateText({ status, printStatus, error }: Snapshot, colours: Colours): string {
  if (printStatus === 'success') return colours.good('done')
  if (printStatus === 'ongoing') return colours.caution(`running: ${status}`)
  if (status === 'canceled') return 'canceled'
  const reason = error ?? 'no reason was recorded'
  return colours.bad(shortened(reason.startsWith('incompatible') ? reason : `error: ${reason}`))
}

function shortened(text: string): string {
  const [line = '', ...more] = text.split('\n')
  if (line.length <= REASON_LETTERS) return more.length === 0 ? line : `${line} …`
  return `${line.slice(0, REASON_LETTERS).trimEnd()} …`
}
