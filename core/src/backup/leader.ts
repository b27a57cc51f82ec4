import type { MongoClient, Timestamp } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import type { BackupConfig } from '../config/document.js'
import { type AgentDocument, listAgents } from '../control/agents.js'
import { type BackupDocument, isOfFiles } from '../control/backup-document.js'
import { findBackup, insertBackup, setBackupStatus } from '../control/backups.js'
import type { BackupCommand, CommandDocument } from '../control/command-document.js'
import { requireConfig } from '../control/config.js'
import { queryLog } from '../control/log.js'
import { newBackup } from '../control/new-backup.js'
import { isMain, knownBackupStore, requireStorage } from '../control/profiles.js'
import { checkedSelection } from '../control/selection.js'
import { isDuplicateKey } from '../control/wire.js'
import { type Ciphers, NO_ENCRYPTION } from '../encryption/ciphers.js'
import { errorText, PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { balancerStatus } from '../mongo/balancer.js'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { clusterMembers, nodeInfo, type ReplsetTopology } from '../mongo/topology.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import { missingPluginHint } from '../plugin-host/naming.js'
import { busyText } from '../protocol/busy.js'
import { isCanceled } from '../protocol/canceled.js'
import { type AgentNeeds, candidates, EXTERNAL_NEEDS, physicalNeeds, unfitness } from '../protocol/fitness.js'
import { operationInTheWay } from '../protocol/lock-wait.js'
import { backupBallot, nominate } from '../protocol/nomination.js'
import { nominationGroups } from '../protocol/priority.js'
import { requireUsedStorage } from '../protocol/storage-places.js'
import { CIPHERS, CLOCK, COMPRESSION, LEADER, OPERATION_LOG } from '../protocol/tokens.js'
import { repairBalancer } from '../recovery/balancer-pause.js'
import { isSafeBackupName } from '../store/layout/names.js'
import type { Clock } from '../time/clock.js'
import { awaitReshardingEnds } from './cluster-changes.js'
import { sourceFor } from './physical/increment.js'
import { seenMembers, sourcesOfOthers } from './physical/spare-member.js'
import { refuseLayout } from './sealing.js'

export interface RunOptions {
  /** Aborted to cancel ({@link backupCanceled}) or to stop the agent (any other reason). */
  readonly signal: AbortSignal
}

/**
 * The cluster leader's part of a backup: checks, the record, and an agent for every replica set
 * (PBM: control-plane.md §5.1, steps 1 and 3). After that the nominees do the work, and the watch over stale operations
 * ends what dies.
 */
@injectable()
export class BackupLeader {
  readonly #context

  constructor(
    @inject(LEADER) leader: MongoClient,
    @inject(COMPRESSION) compression: CompressionPlugin,
    @inject(OPERATION_LOG) log: OperationLog,
    @inject(CLOCK) clock: Clock,
    @inject(CIPHERS, { isOptional: true }) ciphers: Ciphers | undefined,
  ) {
    this.#context = { leader, compression, log, clock, ciphers }
  }

  /**
   * Resolves when every replica set has its nominee. Rejects when the backup cannot begin; its record then says why,
   * except when the name is taken by another backup (`BACKUP_EXISTS`) or another operation runs (`OPERATION_RUNNING`). Resolves as well when another agent opened this
   * very backup: in an election two may take themselves for the leader.
   */
  async run(command: CommandDocument & { cmd: 'backup' }, { signal }: RunOptions): Promise<void> {
    const { leader, clock } = this.#context
    const { name, profile } = command.backup
    const refusal = await this.#refusal(command, signal)
    // It is tried again when the other one has ended, and its failure would be listed for ever.
    if (refusal?.code === 'OPERATION_RUNNING') throw refusal
    const replsets = await clusterMembers(leader)
    const config = await requireConfig(leader)
    const [server, hb] = await Promise.all([nodeInfo(leader), clusterTime(leader)])
    const store = await knownBackupStore(leader, profile)
    const balancer = server.isSharded ? await this.#balancerMode() : 'off'
    const document = newBackup({ command, store, server, hb, replsets, balancer })
    const record =
      refusal === undefined ? document : { ...document, status: 'error' as const, error: errorText(refusal) }
    if (!(await this.#insert(record))) return
    if (refusal !== undefined) throw refusal
    try {
      // Before any shard begins its oplog: it must not hold the end of a resharding.
      if (server.isSharded) await awaitReshardingEnds(leader, { clock, signal })
      const encryption = config.encryption?.type ?? NO_ENCRYPTION
      const needs = { storage: store.type, compression: command.backup.compression, encryption }
      await this.#elect(command, replsets, { needs, backup: config.backup, signal })
    } catch (error) {
      const status = isCanceled(signal.reason ?? error) ? 'canceled' : 'error'
      await setBackupStatus(leader, name, status, { error: errorText(error), by: 'clusterLeader' })
      throw error
    }
  }

  /** Why this backup must not begin; undefined when it may. */
  async #refusal(
    { _id, backup }: CommandDocument & { cmd: 'backup' },
    signal: AbortSignal,
  ): Promise<PbmError | undefined> {
    const { leader, clock } = this.#context
    const typeFault = this.#typeFault(backup) ?? (await this.#externalFault(backup))
    if (typeFault !== undefined) return typeFault
    if (!isSafeBackupName(backup.name)) {
      return new PbmError('BACKUP_NAME', `${JSON.stringify(backup.name)} can't be the name of a backup`)
    }
    try {
      checkedSelection(backup.nss ?? [], backup.usersAndRoles)
      await requireStorage(leader, backup.profile)
    } catch (error) {
      if (error instanceof PbmError) return error
      throw error
    }
    const levelFault = this.#levelFault(backup)
    if (levelFault !== undefined) return levelFault
    const sealingFault = await this.#sealingFault(backup)
    if (sealingFault !== undefined) return sealingFault
    const storageFault = await this.#storageFault(_id.toHexString(), backup, signal)
    if (storageFault !== undefined) return storageFault
    const running = await operationInTheWay(leader, {
      opid: _id.toHexString(),
      signal,
      clock,
    })
    if (running === undefined) return undefined
    return new PbmError('OPERATION_RUNNING', busyText(running), {
      hint: 'Wait for its end (pbm status), or cancel it',
    })
  }

  #typeFault({ type, nss, usersAndRoles }: BackupCommand): PbmError | undefined {
    if (type === 'logical') return undefined
    if (!isOfFiles(type) && type !== 'external') {
      return new PbmError('BACKUP_TYPE', `a backup of type ${type} can't be made`, {
        hint: 'There are logical, physical, incremental and external ones: leave the type out, or say one of these',
      })
    }
    if ((nss ?? []).length > 0 || usersAndRoles === true) {
      return new PbmError(
        'BACKUP_TYPE',
        `a${type === 'physical' ? '' : 'n'} ${type} backup is one of all data: files hold no single collections`,
        {
          hint: 'Make a logical backup of the collections, or leave out which',
        },
      )
    }
    return undefined
  }

  /** Locks of several replica sets begin at several moments, and what lies between can't be put into files that others copy. */
  async #externalFault({ type }: BackupCommand): Promise<PbmError | undefined> {
    if (type !== 'external' || !(await nodeInfo(this.#context.leader)).isSharded) return undefined
    return new PbmError('BACKUP_TYPE', "an external backup of a sharded cluster can't be made", {
      hint: 'Make a physical one: all its parts are of one time',
    })
  }

  /** As it was before any backup stopped it. */
  async #balancerMode(): Promise<'full' | 'off'> {
    const { leader, log } = this.#context
    await repairBalancer(leader, log)
    return (await balancerStatus(leader)).mode === 'full' ? 'full' : 'off'
  }

  #levelFault({ level }: BackupCommand): PbmError | undefined {
    const { levels, name } = this.#context.compression
    if (level === undefined || levels === undefined || (level >= levels.min && level <= levels.max)) return undefined
    return new PbmError('CODEC_LEVEL', `level ${level} is none of ${name}`, {
      hint: `Say a level from ${levels.min} to ${levels.max}, or none`,
    })
  }

  /** Of profiles, agents see nothing before they are asked. */
  async #storageFault(opid: string, { profile }: BackupCommand, signal: AbortSignal): Promise<PbmError | undefined> {
    if (!isMain(profile)) return undefined
    try {
      const { leader, clock } = this.#context
      const { epoch } = await requireConfig(leader)
      await requireUsedStorage({ leader, opid, epoch, clock, signal })
      return undefined
    } catch (error) {
      if (error instanceof PbmError) return error
      throw error
    }
  }

  /** Nominees look again, at their own keys; most faults of the configuration are the same everywhere. */
  async #sealingFault({ type }: BackupCommand): Promise<PbmError | undefined> {
    const { leader, ciphers } = this.#context
    try {
      const isSealed = (await ciphers?.current()) !== undefined
      if (isSealed && type === 'logical') refuseLayout(await requireConfig(leader))
      return undefined
    } catch (error) {
      if (error instanceof PbmError) return error
      throw error
    }
  }

  /** False when another agent was faster with the same command. */
  async #insert(document: BackupDocument): Promise<boolean> {
    const { leader } = this.#context
    try {
      await insertBackup(leader, document)
      return true
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      if ((await findBackup(leader, document.name))?.opid === document.opid) return false
      throw new PbmError('BACKUP_EXISTS', `there is a backup named ${document.name} already`, {
        hint: 'Backups are named by the second they begin at: start it again',
        cause: error,
      })
    }
  }

  /** Where there are others. What they feed would stand still with them. */
  async #withoutSources(fit: AgentDocument[]): Promise<AgentDocument[]> {
    const sources = sourcesOfOthers(await seenMembers(this.#context.leader))
    const free = fit.filter(({ n }) => !sources.has(n))
    return free.length === 0 ? fit : free
  }

  /** What nodes logged as an error of the operation instead of taking it: a storage that they can't reach, say. */
  async #declined(opid: string, rs: string): Promise<Map<string, string>> {
    const errors = await queryLog(this.#context.leader, { opid, rs, severity: 1, tail: 50 })
    return new Map(errors.map(({ node, msg }) => [node, msg]))
  }

  /** Only the members that it was made of have its files. */
  async #sourceOf(command: BackupCommand): Promise<BackupDocument | undefined> {
    const { leader, ciphers } = this.#context
    const found = await sourceFor(leader, command, (await ciphers?.current())?.name)
    return 'why' in found ? undefined : found.source
  }

  async #elect(
    { _id, backup: asked }: CommandDocument & { cmd: 'backup' },
    replsets: ReplsetTopology[],
    given: { needs: AgentNeeds; backup: BackupConfig | undefined; signal: AbortSignal },
  ) {
    const { leader, log, clock } = this.#context
    const opid = _id.toHexString()
    const { name: backup, type } = asked
    const { signal } = given
    const source = type === 'incremental' ? await this.#sourceOf(asked) : undefined
    const priority = given.backup?.priority
    const [all, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
    const needsOf = (replset: ReplsetTopology): AgentNeeds => {
      if (type === 'external') return { ...given.needs, physical: EXTERNAL_NEEDS }
      return isOfFiles(type)
        ? { ...given.needs, physical: physicalNeeds(replset, given.backup?.physical) }
        : given.needs
    }
    const fit = replsets.flatMap((replset) => {
      const known = all.filter((agent) => agent.rs === replset.rs)
      return candidates(known, now, needsOf(replset))
    })
    // An increment has to be of the member that has the files of the one before.
    const isHeld = type === 'external' || type === 'physical'
    const candidatesLeft = isHeld ? await this.#withoutSources(fit) : fit
    for (const replset of replsets) {
      const { rs } = replset
      if (fit.some((agent) => agent.rs === rs)) continue
      const known = all.filter((agent) => agent.rs === rs)
      const told = known.map((agent) => `${agent.n}: ${unfitnessText(agent, now, needsOf(replset))}`).join('; ')
      throw new PbmError(
        'NO_CANDIDATE',
        `replica set ${rs} has no agent that could make the backup: ${told === '' ? 'none has ever reported' : told}`,
        { hint: 'Start pbm-agent beside its members; pbm status shows what is wrong with each' },
      )
    }
    await Promise.all(
      replsets.map(async ({ rs }) => {
        const first = source?.replsets.find(({ name }) => name === rs)?.node
        const groups = nominationGroups(candidatesLeft, rs, { priority, first })
        const declined = async () => new Set((await this.#declined(opid, rs)).keys())
        const winner = await nominate({ ...backupBallot(leader, backup, rs), declined }, { groups, signal, log, clock })
        if (winner !== undefined) return log.debug(`${winner} takes the backup of ${rs}`)
        const reasons = [...(await this.#declined(opid, rs))].map(([node, reason]) => `; ${node}: ${reason}`)
        throw new PbmError('NOMINATION_FAILED', `no agent of replica set ${rs} took the backup${reasons.join('')}`, {
          hint: 'Look into the logs of its agents (pbm logs)',
        })
      }),
    )
  }
}

function unfitnessText(agent: AgentDocument, now: Timestamp, needs: AgentNeeds): string {
  const reason = unfitness(agent, now, needs)
  switch (reason?.code) {
    case 'silent':
      return `its agent has been silent for ${secondsOf(now) - secondsOf(agent.hb)} s`
    case 'arbiter':
      return 'it is an arbiter'
    case 'state':
      return `it is in state ${agent.str || agent.s}`
    case 'delayed':
      return `its replication is delayed by ${agent.delay} s`
    case 'lagging':
      return `it lags ${agent.repl_lag} s behind the primary`
    case 'leader':
      return `its agent cannot reach the leader replica set: ${agent.pbms.e}`
    case 'node':
      return `its agent cannot reach it: ${agent.nodes.e}`
    case 'storage':
      return `its agent cannot reach the storage: ${agent.stors.e}`
    case 'sealing':
      return "its agent is one of PBM's and cannot encrypt"
    case 'plugin':
      return `its agent has no ${reason.kind} plugin '${reason.name}' (${missingPluginHint(reason.kind, reason.name)})`
    case 'physical':
      return reason.reason
    case undefined:
      return 'it could make the backup'
  }
}
