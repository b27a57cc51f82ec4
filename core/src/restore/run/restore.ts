import { inject, injectable } from 'tsyringe'
import { namespacePairs, type RestoreCommand, type RestoreCommandDocument } from '../../control/command-document.js'
import { emptyRestore } from '../../control/new-restore.js'
import { requireOwnAgents } from '../../control/own-agents.js'
import type { RestoreDocument } from '../../control/restore-document.js'
import { setRestoreFields, setRestoreReplsetFields, unfinishedInPlace, wasInterrupted } from '../../control/restores.js'
import { stagingDatabase } from '../../control/staging-name.js'
import {
  awaitSlicersGone,
  resumeAfterRestore,
  resumeBalancerAfter,
  type Suspended,
  suspendBalancer,
  suspendOthers,
} from '../../recovery/suspension.js'
import type { OpenStore } from '../../store/open-store.js'
import { usersInUse } from '../data/kept-users.js'
import type { Wanted } from '../selective/plan.js'
import { recordBoard } from '../sharding/await-parts.js'
import { shardingOf } from '../sharding/sharded-selection.js'
import type { ShardingOptions } from '../sharding/sharding.js'
import { RestoreContext } from './context.js'
import { withFilesOf } from './open-sources.js'
import { type PrimaryRun, type PrimarySteps, type RestoreOutcome, runOnPrimary } from './primary-run.js'
import { type ReplsetRestore, restoreNothing, restoreReplset } from './replset.js'
import { noteShortcomings, SAID_BY_THEMSELVES } from './shortcomings.js'
import { findSources } from './sources.js'

export type { RestoreOutcome } from './primary-run.js'

type OnSuspended = (suspended: Suspended) => void

/**
 * A logical restore, on the primary of a replica set (PBM: control-plane.md §5.3). The lock is taken here, so that a
 * command that reaches several agents runs once, and the storage is opened with it held. Whatever goes wrong ends in the
 * restore's document, with the reason.
 */
@injectable()
export class Restore {
  readonly #context: RestoreContext

  constructor(@inject(RestoreContext) context: RestoreContext) {
    this.#context = context
  }

  /** Rejects with what the restore failed with; it is written to the document before. */
  async run({ _id, restore }: RestoreCommandDocument, { signal }: { signal: AbortSignal }): Promise<RestoreOutcome> {
    const { leader, log, withStore } = this.#context
    const opid = _id.toHexString()
    let suspended: Suspended | undefined
    const onSuspended: OnSuspended = (noted) => {
      suspended = noted
    }
    const run: PrimaryRun = {
      ...{ type: 'restore', name: restore.name, opid, signal },
      words: { code: 'RESTORE_FAILED', repeat: repeatWords(restore), instead: SAID_BY_THEMSELVES },
      record: (now, hb) => ({
        ...emptyRestore(restore, opid, now, hb),
        ...(suspended === undefined ? {} : { suspended }),
      }),
      // Where nothing has happened, all goes on as if the restore had never been asked for.
      resume: () => resumeAfterRestore(leader, restore.name, log),
    }
    return await runOnPrimary(this.#context, run, (steps) => {
      log.info(`restore of ${restore.backupName} begins`)
      return withStore(steps.signal, (store) => this.#restore({ command: restore, opid }, store, steps, onSuspended))
    })
  }

  async #restore(
    { command, opid }: { readonly command: RestoreCommand; readonly opid: string },
    store: OpenStore,
    { info, signal, guard, progress, reach }: PrimarySteps,
    onSuspended: OnSuspended,
  ): Promise<void> {
    const { node, leader, self, log, host, clock, ciphers, scratch } = this.#context
    const sources = await findSources(command, { leader, self, info, log, host, ciphers, store, signal })
    const { backup, wanted, rsMap, cluster, part, pointInTime, compression, tuning, stored } = sources
    // Whoever has sent it: ours would wait for what theirs never say.
    if (wanted !== undefined && info.isSharded) await requireOwnAgents(leader, 'how shards agree on chosen namespaces')
    if (wanted !== undefined) await setRestoreFields(leader, command.name, selectionFields(wanted))
    const replsets = cluster.map(({ rs }) => rs)
    const shardingOptions: ShardingOptions = {
      ...{ client: node, leader, self, info, cluster, name: command.name, backup, rsMap, compression },
      ...{ store: stored, clock, log, guard },
    }
    const board = recordBoard({ leader, name: command.name, replsets, clock, signal: guard.signal }, self.rs)
    const sharding = info.isSharded ? shardingOf(shardingOptions, wanted, board) : undefined
    const suspending = { leader, name: command.name, isSharded: info.isSharded, signal, clock, log, onSuspended }
    // Everything has been looked at and nothing changed: no longer than now is anything off for it.
    const reachState = async (state: 'cleanupCluster' | 'running' | 'dumpDone') => {
      if (state !== 'cleanupCluster') return await reach(state)
      const before = async () => {
        // What a restore of a part does is in the oplog like anybody's work, so that is stored on.
        if (wanted === undefined) await suspendOthers(suspending)
        else if (info.isSharded) await suspendBalancer(suspending)
        guard.throwIfStopped()
      }
      await reach(state, { before })
      if (wanted !== undefined) return
      // PBM's agent, where it leads, waits for no slicer but its own.
      await awaitSlicersGone(suspending, self.rs)
    }
    if (part === undefined) await restoreNothing({ sharding, reach: reachState, log })
    else {
      const opening = { node, info, log, progress, scratch, signal: guard.signal }
      const own: ReplsetRestore = {
        client: node,
        store: stored,
        backup,
        part,
        compression,
        tuning,
        usersInUse: await usersInUse(leader, info, command.sender),
        afterInterrupted: await wasInterrupted(leader, command.name),
        unfinished: await unfinishedInPlace(leader),
        pointInTime,
        wanted,
        staging: stagingDatabase(opid),
        clock,
        guard,
        log,
        progress,
        sharding,
        reach: reachState,
        onMade: async (made) => {
          await setRestoreReplsetFields(leader, command.name, self.rs, { made: [...made] })
        },
        onGainedRoles: async (gained) => {
          for (const { user, roles } of gained) log.warning(`${user} gains by this restore: ${roles.join(', ')}`)
          await setRestoreReplsetFields(leader, command.name, self.rs, { gained_roles: [...gained] })
        },
      }
      const end = await withFilesOf(sources, opening, (files) => restoreReplset({ ...own, files }))
      await noteShortcomings(leader, command.name, self.rs, end)
    }
    await sharding?.refresh()
    if (!info.isClusterLeader) return
    // With the lock still held: a backup that begins would take it for off.
    if (wanted !== undefined) await resumeBalancerAfter(leader, command.name, log)
    else log.info('make a full backup now: point-in-time recovery can only go on from a new one')
  }
}

/** What is beside the live one is in the way of the next, see {@link dropUnfinished}. */
function repeatWords(command: RestoreCommand): string {
  const targets = namespacePairs(command).map(({ to }) => to)
  if (targets.length === 0) return 'repeat the restore'
  return `repeat the restore when ${targets.join(', ')} is gone, which takes some seconds`
}

/** What the record says of a selective restore: PBM's key, and ours. */
function selectionFields({
  selection,
  usersAndRoles,
  renaming,
  keepExisting,
  query,
}: Wanted): Partial<RestoreDocument> {
  return {
    nss: [...selection.entries],
    selection: {
      usersAndRoles,
      ...(renaming === undefined ? {} : { pairs: [...renaming.pairs] }),
      ...(keepExisting === true ? { keepExisting } : {}),
      ...(query === undefined ? {} : { query }),
    },
  }
}
