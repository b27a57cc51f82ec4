import type { MongoClient } from 'mongodb'
import type { DrillCheck } from '../../config/drill-checks.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import type { OperationLog } from '../../log.js'
import type { ScratchSettings } from '../../mongo/scratch-settings.js'
import type { Member, NodeInfo } from '../../mongo/topology.js'
import type { PluginHost } from '../../plugin-host/host.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import type { OpenStore } from '../../store/open-store.js'
import type { Clock } from '../../time/clock.js'

export interface DrillContext {
  /** Direct connection to the mongod beside the agent, which is only asked how it was started. */
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly self: Member
  readonly info: NodeInfo
  readonly log: OperationLog
  readonly clock: Clock
  readonly host: PluginHost
  readonly ciphers: Ciphers | undefined
  /** The storage that has the backup. */
  readonly store: OpenStore
  readonly signal: AbortSignal
  readonly progress: ProgressPublisher
  /** Of the command. */
  readonly opid: string
  readonly scratch: ScratchSettings
  readonly checks: readonly DrillCheck[]
}
