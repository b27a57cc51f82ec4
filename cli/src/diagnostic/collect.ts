import {
  buildFacts,
  errorText,
  type LogQuery,
  maskSecrets,
  queryLog,
  type RawDiagnostics,
  readDiagnostics,
  rfc3339,
} from '@pbmkit/core'
import { BSON, type MongoClient } from 'mongodb'
import { coloursFor } from '../output/colour.js'
import { logLine } from '../output/log-line.js'
import type { Session } from '../session.js'
import { backupsSection } from '../status/backups.js'
import { clusterSection } from '../status/cluster.js'
import { storedHistory } from '../status/history.js'
import { pitrSection } from '../status/pitr.js'
import { runningSection } from '../status/running.js'
import { maskedBackup, maskedConfig, Scrubber, secretsIn } from './scrub.js'

const { EJSON } = BSON
/** All of an operation; without one, the newest. */
const NEWEST_LINES = 20_000

/** An operation by its name or id; neither for the cluster as it is. */
export interface Wanted {
  readonly name?: string | undefined
  readonly opid?: string | undefined
}

/** The files of a report without their common beginning: `report.json` → its text. */
export type Report = ReadonlyMap<string, string>

/** Undefined where nothing is known of the operation. Nothing in it is a secret. */
export async function collectReport(
  session: Session,
  leader: MongoClient,
  wanted: Wanted,
): Promise<Report | undefined> {
  const raw = await readDiagnostics(leader, wanted)
  const { backup, restore, command, begun } = raw
  const opid = wanted.opid ?? textOf((backup ?? restore)?.opid)
  const lines = await queryLog(leader, logQuery(wanted, opid))
  const isAsked = wanted.name !== undefined || wanted.opid !== undefined
  const isKnown = [backup, restore, command].some((one) => one !== undefined) || begun.length > 0 || lines.length > 0
  if (isAsked && !isKnown) return undefined

  const scrubber = new Scrubber(await session.uri(), await secretsIn(raw, session.plugins))
  const json = (value: unknown) => `${EJSON.stringify(scrubber.value(value), undefined, 2, { relaxed: false })}\n`
  const plain = (value: unknown) => `${JSON.stringify(scrubber.value(value), undefined, 2)}\n`
  const colours = coloursFor({}, {})
  const log = lines.map((line) => logLine({ ...line, msg: scrubber.text(line.msg) }, rfc3339, colours, true)).join('\n')
  return new Map([
    ['report.json', plain(await overview(session, leader, raw, { ...wanted, opid }))],
    ...(backup === undefined ? [] : [['backup.json', json(await maskedBackup(backup, session.plugins))] as const]),
    ...(restore === undefined ? [] : [['restore.json', json(maskSecrets(restore))] as const]),
    ['log', scrubber.text(`${log}\n`)],
  ])
}

function logQuery({ name, opid: asked }: Wanted, opid: string | undefined): LogQuery {
  const severity = 4
  if (opid !== undefined) return { severity, opid }
  if (name !== undefined) return { severity, object: name }
  return asked === undefined ? { severity, tail: NEWEST_LINES } : { severity, opid: asked }
}

async function overview(session: Session, leader: MongoClient, raw: RawDiagnostics, asked: Wanted): Promise<object> {
  const { config, command, begun, agents, locks, pitr } = raw
  const [status, server] = await Promise.all([
    statusOf(session, leader),
    tolerant(async () => {
      const { version, modules, allocator, openssl } = await leader.db('admin').command({ buildInfo: 1 })
      return { version, modules, allocator, openssl }
    }),
  ])
  const documents = { config: await Promise.all(config.map((one) => maskedConfig(one, session.plugins))) }
  const others = maskSecrets({ command, begun, agents, locks, pitr }) as object
  return {
    generated: rfc3339(Math.floor(session.clock.now() / 1000)),
    ...asked,
    pbm: buildFacts(),
    ...{ server, status },
    // Numbers and times as the server has them.
    documents: EJSON.serialize({ ...documents, ...others }, { relaxed: false }),
  }
}

/** As `pbm status -o json`. */
async function statusOf(session: Session, leader: MongoClient): Promise<object> {
  const stored = storedHistory(leader)
  return {
    cluster: await tolerant(() => clusterSection(leader, true)),
    pitr: await tolerant(() => pitrSection(leader, stored)),
    running: await tolerant(() => runningSection(leader)),
    backups: await tolerant(() => backupsSection(session, leader, stored)),
  }
}

/** What fails is a part of the report. */
async function tolerant(read: () => Promise<unknown>): Promise<unknown> {
  try {
    return await read()
  } catch (error) {
    return { error: errorText(error) }
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
