import {
  type BackupDocument,
  Ciphers,
  type Config,
  chunkMethod,
  errorText,
  type Member,
  type OpenOptions,
  type OpenStore,
  type OperationLog,
  openStore,
  type PluginContext,
  type PluginHost,
  profileOf,
  requireKnownStorage,
  type StorageConfig,
  sealedStore,
  storageOfBackup,
  transferText,
  untilAborted,
  wasUsed,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/** What storages are opened with. */
export interface StoreContext {
  readonly host: PluginHost
  readonly self: Member
  readonly config: Config
  readonly log: OperationLog
  /** Undefined where no database is there. */
  readonly leader: MongoClient | undefined
}

/** What a plugin is opened with here. Its signal is nobody's: an operation that is cancelled still has objects to delete. */
function pluginContext({ log, self: { node } }: Pick<StoreContext, 'log' | 'self'>): PluginContext {
  return {
    signal: new AbortController().signal,
    warn: (message: string) => log.warning(message),
    debug: (message: string) => log.debug(message),
    node,
  }
}

/** What objects are sealed with and opened by. */
export function ciphersOf(context: StoreContext): Ciphers {
  return new Ciphers(context.host, context.config.encryption, pluginContext(context))
}

/** A storage as it is, for whoever only looks and deletes. One that was used before is not made anew where it is missing. */
export async function openStorage(
  context: Pick<StoreContext, 'host' | 'log' | 'self' | 'leader'>,
  storage: StorageConfig,
  options: OpenOptions = {},
): Promise<OpenStore> {
  const { leader, host } = context
  const mustExist = options.mustExist ?? (leader === undefined || (await wasUsed(leader, storage, host)))
  return openStore(host, storage, pluginContext(context), { ...options, mustExist })
}

/** The storage of a backup, to delete what is left of it: elsewhere nothing would be there, and it would count as deleted. */
export async function openStorageOf(
  backup: BackupDocument,
  context: Pick<StoreContext, 'host' | 'log' | 'self'> & { readonly leader: MongoClient },
): Promise<OpenStore> {
  const { leader, host } = context
  const storage = await storageOfBackup(leader, backup)
  const store = await openStorage(context, storage)
  try {
    await requireKnownStorage(store, { leader, host, storage, profile: profileOf(backup) })
    return store
  } catch (error) {
    await store.close().catch(() => undefined)
    throw error
  }
}

/** A storage, the main one where none is given, as the configuration limits it. Chunks of the oplog are sealed and opened. */
export async function openSealed(
  context: StoreContext,
  storage: StorageConfig = context.config.storage,
  options: OpenOptions = {},
): Promise<OpenStore> {
  const { throttle } = context.config.backup ?? {}
  return sealedStore(await openStorage(context, storage, { throttle, ...options }), ciphersOf(context), chunkMethod)
}

/** Opens a storage, the main one where none is given, for as long as `work` takes. */
export async function withStore<T>(
  context: StoreContext & { readonly signal: AbortSignal },
  work: (store: OpenStore) => Promise<T>,
  storage?: StorageConfig,
  options: OpenOptions = {},
): Promise<T> {
  const { signal, log } = context
  signal.throwIfAborted()
  const opening = openSealed(context, storage, options)
  // Nothing in a plugin has to heed a signal.
  const store = await untilAborted(opening, signal).catch((error: unknown) => {
    opening.then((late) => late.close()).catch(() => undefined)
    throw error
  })
  try {
    signal.throwIfAborted()
    return await work(store)
  } finally {
    const moved = transferText(store.figures?.())
    if (moved !== '') log.info(moved)
    await store.close().catch((error: unknown) => log.warning(`closing the storage: ${errorText(error)}`))
  }
}
