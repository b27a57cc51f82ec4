import { inject, injectable } from 'tsyringe'
import { planReplay } from '../../catalog/plan-restore.js'
import type { CommandDocument, ReplayCommand } from '../../control/command-document.js'
import { readConfig } from '../../control/config.js'
import { emptyReplay } from '../../control/new-restore.js'
import { listChunks } from '../../control/pitr-chunks.js'
import { clusterMembers } from '../../mongo/topology.js'
import { optime, optimeText } from '../../oplog/entry.js'
import { openTransactionBytes } from '../../oplog/replay/open-transactions-limit.js'
import type { Replay } from '../../oplog/replay/replay.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { withoutTtlMonitor } from '../../recovery/ttl-pause.js'
import { awaitMajoritySince, electionOf } from '../data/failover.js'
import { keptUsers, usersInUse } from '../data/kept-users.js'
import { dropLiveIndexes, liveCatalog, settleIndexes } from '../data/live-indexes.js'
import { replayPieces } from '../data/replay-pieces.js'
import { settleTransactions, type TransactionSettlement } from '../sharding/distributed-transactions.js'
import { checkPieces, verifyPieces } from '../verify/oplog.js'
import { sealedOnly } from '../verify/sealed-only.js'
import { RestoreContext } from './context.js'
import { pieceOf } from './point-in-time.js'
import { type PrimaryRun, type PrimarySteps, type RestoreOutcome, runOnPrimary } from './primary-run.js'
import { noteShortcomings, SAID_BY_THEMSELVES } from './shortcomings.js'

/**
 * Applies stored chunks to the data as it is, on the primary of a replica set (PBM: control-plane.md §5.5). Nothing is
 * dropped before; what the data must be for that is for the person to know who asks for it. Point-in-time recovery
 * stays as it is: what the replay does is in the oplog of the target like anybody's work.
 */
@injectable()
export class OplogReplay {
  readonly #context: RestoreContext

  constructor(@inject(RestoreContext) context: RestoreContext) {
    this.#context = context
  }

  /** Rejects with what the replay failed with; it is written to the document before. */
  async run(
    { _id, replay }: CommandDocument & { cmd: 'replay' },
    { signal }: { signal: AbortSignal },
  ): Promise<RestoreOutcome> {
    const { withStore } = this.#context
    const opid = _id.toHexString()
    const run: PrimaryRun = {
      ...{ type: 'replay', name: replay.name, opid, signal },
      words: {
        code: 'REPLAY_FAILED',
        repeat: 'replay from the same start again, or restore',
        instead: SAID_BY_THEMSELVES,
      },
      record: (now, hb) => emptyReplay(replay, opid, now, hb),
    }
    return await runOnPrimary(this.#context, run, (steps) =>
      withStore(steps.signal, (store) => this.#replay(replay, store, steps)),
    )
  }

  async #replay(
    command: ReplayCommand,
    store: ObjectStore,
    { info, signal, guard, progress, reach }: PrimarySteps,
  ): Promise<void> {
    const { node, leader, self, log, host, clock, ciphers } = this.#context
    const [start, end] = [optime(command.start), optime(command.end)]
    log.info(`replay of the oplog from ${optimeText(start)} to ${optimeText(end)} begins`)
    const all = await listChunks(leader)
    const isOwn = (rs: string) => (command.rsMap?.[rs] ?? rs) === self.rs
    const wanted = planReplay({ chunks: all.filter(({ rs }) => isOwn(rs)), rs: self.rs, start, end })
    const trusted = await sealedOnly(ciphers, { allowUnsealed: command.allowUnsealed, log })
    await trusted.chunks(wanted.map(({ fname }) => fname))
    const pieces = await Promise.all(wanted.map((chunk) => pieceOf(chunk, host)))
    const config = await readConfig(leader)
    const from = pieces[0] !== undefined && pieces[0].start > start ? pieces[0].start : start
    const openBytes = openTransactionBytes(config?.restore)
    const range = { signal, start: from, end, exactEnds: true, openTransactionBytes: openBytes }
    const sizes = await checkPieces(store, pieces, range)
    const storedBytes = sizes.reduce((sum, size) => sum + size, 0)
    if (config?.restore?.verify !== false) {
      progress.phase('verify', { bytes: 0, documents: 0 })
      await verifyPieces(store, pieces, { ...range, onBytes: (bytes) => progress.add(0, bytes) })
      log.info('the stored oplog is complete')
    }
    const kept = await keptUsers(node, await usersInUse(leader, info, command.sender))
    const election = await electionOf(node)
    await reach('running')
    const catalog = await liveCatalog(node, signal)
    const dropIndexes = (ns: string, names: readonly string[]) => dropLiveIndexes(node, ns, names)
    const settlement = info.isSharded ? await this.#settlement(command.name, signal) : undefined
    const settle = (replay: Replay) => settlement && settleTransactions(replay, settlement)
    await withoutTtlMonitor({ node, leader, self, log }, command.name, () =>
      replayPieces(
        { client: node, store, guard, log, progress },
        {
          pieces,
          storedBytes,
          catalog,
          kept,
          start: from,
          end,
          dropIndexes,
          settle,
          transactions: { open: openBytes },
        },
      ),
    )
    progress.phase('indexes')
    const commitQuorum = config?.restore?.indexCommitQuorum
    const onBuilt = (indexes: number) => progress.add(indexes, 0)
    const unbuilt = await settleIndexes(node, catalog, { clock, guard, log, commitQuorum, onBuilt })
    await noteShortcomings(leader, command.name, self.rs, { unbuilt })
    progress.phase('majority')
    await awaitMajoritySince(node, election, { guard, log })
  }

  /** Every replica set takes part, the config servers too. */
  async #settlement(name: string, signal: AbortSignal): Promise<TransactionSettlement> {
    const { leader, self, clock, log } = this.#context
    const replsets = (await clusterMembers(leader)).map(({ rs }) => rs)
    return { leader, name, replset: self.rs, replsets, clock, signal, log }
  }
}
