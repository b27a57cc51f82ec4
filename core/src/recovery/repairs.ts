import type { MongoClient } from 'mongodb'
import type { CommandDocument } from '../control/command-document.js'
import { keepSealedFromPbm } from '../control/pitr-chunks.js'
import type { OperationLog } from '../log.js'
import type { PluginHost } from '../plugin-host/host.js'
import type { Clock } from '../time/clock.js'
import { repairBalancer } from './balancer-pause.js'
import { DeadResync } from './dead-resync.js'
import { Leftovers, type OpenStoreOf } from './leftovers.js'
import { rememberStorage } from './remember-storage.js'
import type { Repair } from './repair-runner.js'
import { repairSuspended } from './suspension.js'

export interface RepairContext {
  readonly leader: MongoClient
  /** Name of the leader replica set. */
  readonly leaderReplset: string
  readonly host: PluginHost
  readonly clock: Clock
  readonly log: OperationLog
  readonly logOf: (opid: string) => OperationLog
  /** The storage that holds the backup. */
  readonly openStore: OpenStoreOf
  /** Carries a command out; resolves when it has ended, however. */
  readonly carryOut: (command: CommandDocument) => Promise<void>
}

/** All that is put right after deaths, in this order. */
export function allRepairs(context: RepairContext): Repair[] {
  const { leader, host, log } = context
  const resyncs = new DeadResync(context)
  const leftovers = new Leftovers(context)
  return [
    {
      name: 'starting the balancer again after a backup',
      everyMs: 0,
      run: () => repairBalancer(leader, log),
    },
    {
      name: 'switching on what a restore had switched off',
      everyMs: 0,
      run: () => repairSuspended(leader, log),
    },
    {
      // Earlier versions list them where PBM's own agents look.
      name: 'keeping sealed chunks of earlier versions from PBM',
      everyMs: 300_000,
      run: () => keepSealedFromPbm(leader),
    },
    {
      name: 'reading the storage again after an agent died',
      everyMs: 0,
      run: (met) => resyncs.look(met),
      forget: () => resyncs.forget(),
    },
    {
      name: 'remembering which storage is used',
      everyMs: 10_000,
      run: () => rememberStorage(leader, host),
    },
    {
      name: 'deleting what failed backups have left',
      everyMs: 10_000,
      run: (_met, signal) => leftovers.sweep(signal),
    },
  ]
}
