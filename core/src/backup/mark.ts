import type { MongoClient } from 'mongodb'
import { type BackupMark, removeMark, writeMark } from '../catalog/backup-mark.js'
import { type AgentDocument, listAgents } from '../control/agents.js'
import { setBackupFields } from '../control/backups.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import type { ObjectStore } from '../plugin/storage.js'
import type { Clock } from '../time/clock.js'
import { until } from '../time/until.js'

/** PBM's leader gives the replica sets 33 s to begin (PBM: control-plane.md §5.1). */
const ANSWER_MS = 8_000
/** One that is well reports each 5 s. */
const SILENT_SECONDS = 12
const LOOK_MS = 100

export interface MarkContext {
  readonly leader: MongoClient
  readonly store: ObjectStore
  readonly clock: Clock
  readonly log: OperationLog
  readonly signal: AbortSignal
}

/**
 * Whether all members see the very folder that this one writes to: writes a mark, says so in the record, and waits until
 * every agent of ours has looked for it. Copies of one folder (rsync, a clone of a volume) have one identity, so a backup
 * would be there for some members only. Throws `STORAGES_DIFFER`. The mark is deleted in any case.
 */
export async function requireOneFolder(context: MarkContext, mark: BackupMark): Promise<void> {
  const { leader, store, clock, log, signal } = context
  if (store.capabilities.keepsNothing === true) return
  try {
    await writeMark(store, mark, { signal })
    await setBackupFields(leader, mark.backup, { marked: true })
    let silent: readonly AgentDocument[] = []
    let blind: readonly AgentDocument[] = []
    const isAnswered = async () => {
      const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
      // Those that tell nothing of marks are of an earlier version, or PBM's.
      const asked = agents.filter((agent) => !agent.arb && agent.mark !== undefined)
      const isSilent = ({ hb }: AgentDocument) => secondsOf(now) - secondsOf(hb) > SILENT_SECONDS
      silent = asked.filter((agent) => agent.mark?.opid !== mark.opid && !isSilent(agent))
      blind = asked.filter((agent) => agent.mark?.opid === mark.opid && agent.mark.seen === false)
      return silent.length === 0
    }
    await until(isAnswered, { clock, signal, everyMs: LOOK_MS, timeoutMs: ANSWER_MS })
    if (blind.length > 0) throw differ(blind)
    if (silent.length > 0) log.warning(`not known whether ${names(silent)} sees the same storage: no answer`)
  } finally {
    await removeMark(store, mark.backup).catch((error: unknown) =>
      log.debug(`the mark of backup ${mark.backup} can't be deleted: ${errorText(error)}`),
    )
  }
}

function differ(blind: readonly AgentDocument[]): PbmError {
  const [other] = blind.filter(({ place }) => place?.other === true)
  if (other !== undefined) return new PbmError('STORAGES_DIFFER', `on ${other.rs}/${other.n} ${other.stors.e}`)
  const text = `the configured storage is not the same place for all members: what this backup has written is not there for ${names(blind)}, though the storage calls itself the same`
  return new PbmError('STORAGES_DIFFER', text, {
    hint: 'A copy of the folder is no share: mount the same share on the host of every member, or name the same bucket',
  })
}

function names(agents: readonly AgentDocument[]): string {
  return agents.map(({ rs, n }) => `${rs}/${n}`).join(', ')
}
