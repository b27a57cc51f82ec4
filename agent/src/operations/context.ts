import {
  type AgentMark,
  CIPHERS,
  CLOCK,
  type Clock,
  COMPRESSION,
  type CommandDocument,
  type CompressionPlugin,
  type Config,
  type EncryptionConfig,
  type JournalFile,
  LEADER,
  type Member,
  NODE,
  NODE_URI,
  type NodeInfo,
  type ObjectStore,
  OPERATION_LOG,
  type OperationLog,
  type PlannedTakeOver,
  PluginHost,
  SCRATCH,
  type ScratchSettings,
  SELF,
  STORE,
  type StorageConfig,
  type SubsystemStatus,
  WITH_PRIMARY,
  WITH_STORE,
  type WithPrimary,
  type WithStore,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { DependencyContainer } from 'tsyringe'
import { ciphersOf, withStore } from '../storages.js'

/** What is to be done without a database. */
export interface HandedOver {
  readonly planned: PlannedTakeOver
}

/** What every operation of this agent is given. */
export interface AgentContext {
  readonly leader: MongoClient
  readonly node: MongoClient
  /** Its connection string, with the credentials. */
  readonly nodeUri: string
  /** Name of the leader replica set. */
  readonly leaderReplset: string
  readonly withPrimary: WithPrimary
  readonly self: Member
  readonly host: PluginHost
  readonly clock: Clock
  /** `--dump-parallel-collections`; absent where nobody said it. */
  readonly dumpParallelCollections: number | undefined
  /** Looks anew at the keys of this agent and publishes which they are, marked with the command that asks. */
  readonly answerWithKeys: (config: EncryptionConfig | undefined, opid: string) => Promise<void>
  /**
   * Looks anew at the main storage, tries to write there where this agent may have to, and publishes what it is, marked with
   * the command that asks.
   */
  readonly answerWithStorage: (config: Config, opid: string, how: { writes: boolean }) => Promise<SubsystemStatus>
  /** Lets go of the mongod, so that its files can be replaced. Nothing is done here any more then. */
  readonly handOver: (handedOver: HandedOver) => void
  /** What such a restore writes down. */
  readonly takeOverFile: JournalFile
  /** How mongods of the agent itself are started. */
  readonly scratch: ScratchSettings
  /** How the mongod is started, where that is told. */
  readonly startCommand: string | undefined
  /** Publishes whether this agent saw what a backup had written to its storage. */
  readonly answerWithMark: (mark: AgentMark) => Promise<void>
}

/** What one operation is given on top. */
export interface OperationContext extends AgentContext {
  readonly command: CommandDocument
  /** Hex of the command's `_id`. */
  readonly opid: string
  readonly config: Config
  /** The node as it was when the command came. */
  readonly info: NodeInfo
  /** Whether this agent has the duties of the cluster leader. */
  readonly leads: boolean
  readonly log: OperationLog
  readonly signal: AbortSignal
}

/** The container of one operation: everything pipelines name in `@inject`. Disposed after `work`. */
export async function withContainer<T>(
  context: OperationContext,
  given: {
    /** An open one. */
    readonly store?: ObjectStore
    /** One that the operation opens itself. */
    readonly storage?: () => Promise<StorageConfig>
    readonly compression?: CompressionPlugin | undefined
  },
  work: (container: DependencyContainer) => Promise<T>,
): Promise<T> {
  const container = context.host.container.createChildContainer()
  container.registerInstance(NODE, context.node)
  container.registerInstance(NODE_URI, context.nodeUri)
  container.registerInstance(LEADER, context.leader)
  container.registerInstance(WITH_PRIMARY, context.withPrimary)
  container.registerInstance(SELF, context.self)
  container.registerInstance(OPERATION_LOG, context.log)
  container.registerInstance(CLOCK, context.clock)
  container.registerInstance(PluginHost, context.host)
  container.registerInstance(SCRATCH, context.scratch)
  container.registerInstance(CIPHERS, ciphersOf(context))
  if (given.store !== undefined) container.registerInstance(STORE, given.store)
  const { storage } = given
  if (storage !== undefined) {
    container.registerInstance<WithStore>(WITH_STORE, async (signal, inStore) =>
      withStore({ ...context, signal }, inStore, await storage()),
    )
  }
  if (given.compression !== undefined) container.registerInstance(COMPRESSION, given.compression)
  try {
    return await work(container)
  } finally {
    await container.dispose()
  }
}
