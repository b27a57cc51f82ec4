import type { MongoClient } from 'mongodb'
import { chainUpTo } from '../../catalog/chain.js'
import type { BackupDocument } from '../../control/backup-document.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import { storeOf } from '../../encryption/sealed-store.js'
import { PbmError } from '../../errors.js'
import type { PluginHost } from '../../plugin-host/host.js'
import type { OpenStore } from '../../store/open-store.js'
import { findAnywhere } from '../run/find-backup.js'
import type { SealedOnly } from '../verify/sealed-only.js'
import { readFileList } from './listed-files.js'
import { type Layer, type PlannedFile, plannedFiles } from './planned-files.js'

export interface ChainContext {
  readonly leader: MongoClient
  /** Of all links. */
  readonly store: OpenStore
  readonly host: PluginHost
  readonly ciphers: Ciphers | undefined
  readonly trusted: SealedOnly
  readonly signal: AbortSignal
}

/**
 * The files of a part of a backup, out of all backups that it builds on. Throws CHAIN_BROKEN, FILE_LIST_INVALID, and what reading
 * a list throws.
 *
 * @param rs its name in the backup
 */
export async function filesOfChain(backup: BackupDocument, rs: string, context: ChainContext): Promise<PlannedFile[]> {
  const { leader, store, host, ciphers, trusted, signal } = context
  const chain = await chainUpTo(backup, async (name) => {
    const link = await findAnywhere(leader, store, name, signal).catch(unlessGone)
    return link && (await trusted.backup(store, link, { signal }))
  })
  const layers: Layer[] = []
  for (const link of chain) {
    const part = link.replsets.find(({ name }) => name === rs)
    if (part === undefined) throw new PbmError('RESTORE_UNSUPPORTED', `backup ${link.name} has nothing for ${rs}`)
    const compression = await host.compression(link.compression)
    const from = { store: trusted.store(storeOf(store, ciphers, link), link), backup: link, part, compression, signal }
    layers.push({ from, files: await readFileList(from) })
  }
  return plannedFiles(layers)
}

function unlessGone(error: unknown): undefined {
  if (!(error instanceof PbmError) || error.code !== 'BACKUP_NOT_FOUND') throw error
}
