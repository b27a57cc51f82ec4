import type { MongoClient } from 'mongodb'
import type { DrillCheck } from '../../config/drill-checks.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import type { OperationLog } from '../../log.js'
import type { Member, NodeInfo } from '../../mongo/topology.js'
import type { PluginHost } from '../../plugin-host/host.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import type { OpenStore } from '../../store/open-store.js'
import type { Clock } from '../../time/clock.js'

/** Of a server that the agent starts itself: this machine's own settings. */
export interface ScratchSettings {
  readonly folder: string
  /** GB of its cache, as its option takes them. */
  readonly cacheGb: string
  /** Bytes that stay free on that file system. */
  readonly keepFree: number
  /** Its program; that of the mongod beside the agent when absent. */
  readonly mongod?: string
}

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
