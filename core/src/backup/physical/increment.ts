import type { MongoClient } from 'mongodb'
import { chainUpTo, incrementSource, missingInChain, sourceName } from '../../catalog/chain.js'
import type { BackupDocument } from '../../control/backup-document.js'
import { findBackup, listBackups, setBackupFields } from '../../control/backups.js'
import type { BackupCommand } from '../../control/command-document.js'
import { isMain } from '../../control/profiles.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import { storeOf } from '../../encryption/sealed-store.js'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { clusterMembers, type Member } from '../../mongo/topology.js'
import type { OpenStore } from '../../store/open-store.js'
import { requireRecord } from '../cut.js'
import type { IncrementSource } from './blocks.js'

export interface IncrementContext {
  readonly leader: MongoClient
  readonly store: OpenStore
  readonly self: Member
  readonly log: OperationLog
  readonly signal: AbortSignal
}

/** The newest link for a command, or why there is none. */
export async function sourceFor(leader: MongoClient, command: BackupCommand, encryption: string | undefined) {
  if (command.base) return { why: 'it is asked for' }
  const [backups, members] = await Promise.all([listBackups(leader), clusterMembers(leader)])
  const profile = isMain(command.profile) ? undefined : command.profile
  return incrementSource(backups, { profile, replsets: members.map(({ rs }) => rs), encryption })
}

/**
 * The leading nominee's, before any part begins: says in the record what the backup is made upon. Where that can't be, it is
 * a new base, and the log says why: nothing is lost by that, and a schedule goes on.
 */
export async function decideSource(
  { leader, store, self, log, signal }: IncrementContext,
  command: BackupCommand,
  encryption: string | undefined,
): Promise<void> {
  const found = await sourceFor(leader, command, encryption)
  const why = 'why' in found ? found.why : await unfit(found.source)
  if (why !== undefined || 'why' in found) {
    log.info(`backup ${command.name} is a new base: ${why}`)
    return
  }
  await setBackupFields(leader, command.name, { src_backup: found.source.name })
  log.info(`backup ${command.name} is an increment upon ${found.source.name}`)

  async function unfit(source: BackupDocument): Promise<string | undefined> {
    const node = source.replsets.find(({ name }) => name === self.rs)?.node
    if (node !== self.node)
      return `backup ${source.name} has the files of ${node}, and this one has those of ${self.node}`
    try {
      const missing = await missingInChain(store, await chainUpTo(source, (name) => findBackup(leader, name)), {
        signal,
      })
      return missing === undefined ? undefined : `${missing} is not on the storage any more`
    } catch (error) {
      if (error instanceof PbmError && error.code === 'CHAIN_BROKEN') return errorText(error)
      throw error
    }
  }
}

/** What the record says that this backup is made upon; undefined for a base. */
export async function decidedSource(
  { leader, store }: Pick<IncrementContext, 'leader' | 'store'>,
  ciphers: Ciphers | undefined,
  name: string,
): Promise<IncrementSource | undefined> {
  const source = sourceName(await requireRecord(leader, name))
  const backup = source === undefined ? undefined : await findBackup(leader, source)
  return backup && { backup, store: storeOf(store, ciphers, backup) }
}

/** The files turned out to be others: what is stored is whole, and rests on nothing. */
export async function makeBase({ leader, log }: Pick<IncrementContext, 'leader' | 'log'>, name: string): Promise<void> {
  await setBackupFields(leader, name, { src_backup: '' })
  log.warning(`backup ${name} is a new base: the member has other files by now, or those it had are not known`)
}

/** Before an increment is told to be done: what it rests on may have been taken away meanwhile. */
export async function requireChain({ leader, store, signal }: Omit<IncrementContext, 'self' | 'log'>, name: string) {
  const record = await requireRecord(leader, name)
  const chain = await chainUpTo(record, (link) => findBackup(leader, link))
  const missing = await missingInChain(store, chain.slice(0, -1), { signal })
  if (missing === undefined) return
  throw new PbmError('CHAIN_BROKEN', `${missing}, which backup ${name} builds on, is not on the storage any more`, {
    hint: 'Make a new base: pbm backup -t incremental --base',
  })
}
