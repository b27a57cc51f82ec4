import {
  type BackupDocument,
  type Config,
  isSealed,
  isSealing,
  isWhollySealed,
  type PitrChunkDocument,
  unsealed,
} from '@pbmkit/core'

/** What the record says of a backup. Whether that is true is found out by the agent that restores it. */
export interface SealedState {
  sealed: boolean
  /** Whether the record itself is signed, which not every method can. */
  signed: boolean
}

/** undefined where nothing is to be said: neither is the backup sealed nor would a new one be. */
export function sealedState(backup: BackupDocument, config: Config | undefined): SealedState | undefined {
  if (!isSealing(config?.encryption) && !isSealed(backup)) return undefined
  return { sealed: isWhollySealed(backup), signed: backup.signature !== undefined && backup.signature !== '' }
}

/** For tables: the method, `no` or `partly`. */
export function sealedWord(backup: Pick<BackupDocument, 'replsets'>): string {
  if (!isSealed(backup)) return 'no'
  if (!isWhollySealed(backup)) return 'partly'
  return [...new Set(backup.replsets.map(({ encryption }) => encryption?.type))].join(', ')
}

/** How many chunks of the oplog are not sealed, with encryption configured; undefined without. */
export function unsealedChunks(count: number, config: Config | undefined): number | undefined {
  return isSealing(config?.encryption) ? count : undefined
}

export function countUnsealed(chunks: readonly PitrChunkDocument[]): number {
  return chunks.filter(({ encryption }) => encryption === undefined).length
}

export function unsealedChunksText(count: number): string {
  return `${count === 1 ? 'One chunk' : `${count} chunks`} of the oplog not sealed: a restore through them needs --allow-unsealed.`
}

/** Throws `UNSEALED`, as the agents would. They look closer: at what is on the storage, and with the key. */
export function refuseUnsealed(
  config: Config,
  { backup, chunks = [] }: { readonly backup?: BackupDocument; readonly chunks?: readonly PitrChunkDocument[] },
): void {
  const { encryption } = config
  if (!isSealing(encryption)) return
  if (backup !== undefined && !isWhollySealed(backup)) {
    const open = backup.replsets.filter((part) => part.encryption === undefined).map(({ name }) => name)
    throw unsealed(`backup ${backup.name} is not sealed (${open.join(', ')})`, encryption.type)
  }
  const chunk = chunks.find((one) => one.encryption === undefined)
  if (chunk !== undefined) throw unsealed(`${chunk.fname} is not sealed`, encryption.type)
}
