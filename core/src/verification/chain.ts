import { chainUpTo, sourceName } from '../catalog/chain.js'
import type { BackupDocument } from '../control/backup-document.js'
import { storeOf } from '../encryption/sealed-store.js'
import { hasCode } from '../plugin/errors.js'
import { readFileList } from '../restore/physical/listed-files.js'
import { type Layer, plannedFiles } from '../restore/physical/planned-files.js'
import { backupMetadataName, filelistName } from '../store/layout/names.js'
import { readRecord } from '../store/layout/read-record.js'
import type { VerifyContext } from './context.js'
import type { Findings } from './findings.js'

/**
 * Whether the backups that an increment builds on are there, and their lists lead to all of its files. What they store is looked
 * at when they are verified themselves.
 */
export async function verifyChain(backup: BackupDocument, findings: Findings, context: VerifyContext): Promise<void> {
  const { store, host, ciphers, signal } = context
  if (sourceName(backup) === undefined) return
  const find = async (name: string) => {
    try {
      return await readRecord(store, backupMetadataName(name), { signal })
    } catch (error) {
      if (hasCode(error, 'STORAGE_NOT_FOUND')) return undefined
      throw error
    }
  }
  const chain = await findings.look({ object: backupMetadataName(backup.name) }, () => chainUpTo(backup, find))
  if (chain === undefined) return
  for (const { name: rs } of backup.replsets) {
    await findings.look({ object: filelistName(backup.name, rs), rs }, async () => {
      const layers: Layer[] = []
      for (const link of chain) {
        const part = link.replsets.find(({ name }) => name === rs)
        if (part === undefined) continue
        const compression = await host.compression(link.compression)
        const from = { store: storeOf(store, ciphers, link), backup: link, part, compression, signal }
        layers.push({ from, files: await readFileList(from) })
      }
      plannedFiles(layers)
    })
  }
}
