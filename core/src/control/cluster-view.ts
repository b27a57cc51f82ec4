import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { timeOfSession } from '../mongo/cluster-time.js'
import {
  AGENTS,
  BACKUPS,
  CONFIG,
  CONTROL_DATABASE,
  LOCKS,
  PITR,
  RESTORES,
  SLICER_LOCKS,
} from '../mongo/control-names.js'
import { type AgentDocument, readAgent } from './agents.js'
import { BACKUP_FACTS, type BackupFacts, toBackupFacts } from './backup-facts.js'
import { MAIN } from './config.js'
import type { LockDocument } from './locks.js'
import { readPitr } from './pitr.js'
import type { PitrDocument } from './pitr-document.js'
import { RESTORE_FACTS, type RestoreFacts, toRestoreFacts } from './restore-facts.js'

/** Who is there and what goes on, for who looks again and again. Without any secret. */
export interface ClusterView {
  readonly now: Timestamp
  /** Of the configuration; undefined where none is set. */
  readonly pitr: { readonly enabled: boolean } | undefined
  readonly slicing: PitrDocument | undefined
  readonly agents: readonly AgentDocument[]
  /** Of operations and of slicers, those of dead holders too. */
  readonly locks: readonly LockDocument[]
  /** The newest {@link NEWEST}, those that run among them. */
  readonly backups: readonly BackupFacts[]
  readonly restores: readonly RestoreFacts[]
}

const NEWEST = 10

/** All in one command. */
export async function readClusterView(leader: MongoClient): Promise<ClusterView> {
  return leader.withSession(async (session) => {
    const found = await leader.db(CONTROL_DATABASE).collection(CONFIG).aggregate(PIPELINE, { session }).toArray()
    const now = await timeOfSession(leader, session)
    const of = (from: string) => found.filter((one) => one.from === from).map(({ document }) => document as Document)
    const [config] = of(CONFIG)
    const [slicing] = of(PITR)
    return {
      now,
      pitr: config === undefined ? undefined : { enabled: config.enabled === true },
      slicing: slicing === undefined ? undefined : readPitr(slicing),
      agents: of(AGENTS).filter(hasHeartbeat).map(readAgent),
      locks: [...of(LOCKS), ...of(SLICER_LOCKS)].filter(hasHeartbeat) as unknown as LockDocument[],
      backups: of(BACKUPS).flatMap((document) => toBackupFacts(document) ?? []),
      restores: of(RESTORES).flatMap((document) => toRestoreFacts(document) ?? []),
    }
  })
}

function hasHeartbeat({ hb }: Document): boolean {
  return hb instanceof Timestamp
}

const labelled = (from: string): Document => ({ $replaceWith: { from: { $literal: from }, document: '$$ROOT' } })
const beside = (coll: string, ...stages: Document[]): Document => ({
  $unionWith: { coll, pipeline: [...stages, labelled(coll)] },
})
const newest = (projection: Document): Document[] => [
  { $sort: { start_ts: -1 } },
  { $limit: NEWEST },
  { $project: projection },
]
/** Of agents, what others need not be told again and again. */
const NOT_OF_AGENTS = { plugins: 0, keys: 0, user: 0 }
const PIPELINE: Document[] = [
  { $match: MAIN },
  { $limit: 1 },
  { $project: { enabled: '$pitr.enabled' } },
  labelled(CONFIG),
  beside(PITR),
  beside(AGENTS, { $project: NOT_OF_AGENTS }),
  beside(LOCKS),
  beside(SLICER_LOCKS),
  beside(BACKUPS, ...newest(BACKUP_FACTS)),
  beside(RESTORES, ...newest(RESTORE_FACTS)),
]
