import type { MongoClient } from 'mongodb'
import type { InjectionToken } from 'tsyringe'
import type { Ciphers } from '../encryption/ciphers.js'
import type { OperationLog } from '../log.js'
import type { ScratchSettings } from '../mongo/scratch-settings.js'
import type { Member } from '../mongo/topology.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import type { OpenStore } from '../store/open-store.js'
import type { Clock } from '../time/clock.js'

/**
 * What the pipelines are given. The agent registers these in a child container per operation; pipelines name them in
 * `@inject(TOKEN)`, always explicitly (no decorator metadata is emitted).
 */
export const NODE: InjectionToken<MongoClient> = Symbol('direct connection to the mongod beside this agent')
export const NODE_URI: InjectionToken<string> = Symbol('connection string of that mongod, with the credentials')
export const LEADER: InjectionToken<MongoClient> = Symbol('connection to the primary of the leader replica set')
export const WITH_PRIMARY: InjectionToken<WithPrimary> = Symbol('what connects to the primary of its own replica set')
export const SELF: InjectionToken<Member> = Symbol('which member of which replica set this agent serves')
export const OPERATION_LOG: InjectionToken<OperationLog> = Symbol('the log of the operation')
export const CLOCK: InjectionToken<Clock> = Symbol('clock')
export const STORE: InjectionToken<OpenStore> = Symbol('the open storage of the operation')
export const SCRATCH: InjectionToken<ScratchSettings> = Symbol('how the agent starts mongods of its own')
export const WITH_STORE: InjectionToken<WithStore> = Symbol('what opens the storage of the operation')
export const COMPRESSION: InjectionToken<CompressionPlugin> = Symbol('the compression the operation writes with')

export const CIPHERS: InjectionToken<Ciphers> = Symbol('the encryption methods of the operation')

/** Gives, as long as `work` takes, a connection to the primary of this agent's own replica set, which may be the leader's. */
export type WithPrimary = <T>(work: (primary: MongoClient) => Promise<T>) => Promise<T>

/**
 * Opens the storage for as long as `work` takes. For operations that touch it only with their lock held. Rejects with the
 * signal's reason where a storage does not open until it aborts.
 */
export type WithStore = <T>(signal: AbortSignal, work: (store: OpenStore) => Promise<T>) => Promise<T>
