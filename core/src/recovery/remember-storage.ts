import type { MongoClient } from 'mongodb'
import { storageFingerprint } from '../config/same-storage.js'
import { listAgents } from '../control/agents.js'
import { readConfig } from '../control/config.js'
import { rememberedIdentity, rememberFirst } from '../control/storage-memory.js'
import { clusterTime } from '../mongo/cluster-time.js'
import type { PluginHost } from '../plugin-host/host.js'
import { agreedPlace } from '../protocol/storage-places.js'

/**
 * A storage that was used by a version that did not remember it, or read by an agent of PBM: what all agents see is taken
 * for it before it can go away.
 */
export async function rememberStorage(leader: MongoClient, host: PluginHost): Promise<void> {
  const config = await readConfig(leader)
  if (config === undefined) return
  const configured = { leader, host, storage: config.storage }
  if ((await rememberedIdentity(configured)) !== undefined) return
  const [agents, now, at] = await Promise.all([
    listAgents(leader),
    clusterTime(leader),
    storageFingerprint(config.storage, host),
  ])
  const id = agreedPlace(agents, now, at)
  if (id !== undefined) await rememberFirst(configured, id)
}
