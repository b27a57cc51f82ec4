import pLimit from 'p-limit'
import type { BackupDocument } from '../control/backup-document.js'
import { profileOf } from '../control/profiles.js'
import { PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { backupMetadataName, blockIndexName, filelistName } from '../store/layout/names.js'

/** Nobody makes more upon one base. */
const LONGEST_CHAIN = 10_000
const WIDTH = 8

/** The name of what an increment builds on; undefined for a base, and for backups of other types. */
export function sourceName({ type, src_backup }: Pick<BackupDocument, 'type' | 'src_backup'>): string | undefined {
  return type !== 'incremental' || src_backup === undefined || src_backup === '' ? undefined : src_backup
}

/**
 * All that a backup is restored from: the base first, itself last. Throws CHAIN_BROKEN where one is missing or did not end, and
 * what `find` throws.
 */
export async function chainUpTo(
  backup: BackupDocument,
  find: (name: string) => Promise<BackupDocument | undefined>,
): Promise<BackupDocument[]> {
  const chain = [backup]
  const seen = new Set([backup.name])
  for (let name = sourceName(backup); name !== undefined; ) {
    if (seen.has(name) || seen.size >= LONGEST_CHAIN) throw broken(backup.name, `its increments lead back to ${name}`)
    seen.add(name)
    const source = await find(name)
    if (source === undefined) throw broken(backup.name, `backup ${name}, which it builds on, is not there`)
    if (source.type !== 'incremental')
      throw broken(backup.name, `backup ${name}, which it builds on, is ${source.type}`)
    if (source.status !== 'done') throw broken(backup.name, `backup ${name}, which it builds on, is ${source.status}`)
    if (profileOf(source) !== profileOf(backup)) throw broken(backup.name, `backup ${name} lies on another storage`)
    chain.push(source)
    name = sourceName(source)
  }
  return chain.toReversed()
}

/** What an increment is to be made for. */
export interface WantedIncrement {
  /** Undefined for the main storage. */
  readonly profile: string | undefined
  readonly replsets: readonly string[]
  /** Name of the method; undefined where nothing is sealed. */
  readonly encryption: string | undefined
}

/** The newest link that an increment can be made upon, or why there is none. Pure. */
export function incrementSource(
  backups: readonly BackupDocument[],
  { profile, replsets, encryption }: WantedIncrement,
): { readonly source: BackupDocument } | { readonly why: string } {
  const links = backups.filter((backup) => profileOf(backup) === profile && hasBlocks(backup))
  const [source] = links.toSorted((a, b) => b.start_ts - a.start_ts || (a.name < b.name ? 1 : -1))
  if (source === undefined) return { why: 'there is no incremental backup that it could build on' }
  const names = (given: readonly string[]) => given.toSorted().join(', ')
  const parts = source.replsets
  const [made, runs] = [names(parts.map(({ name }) => name)), names(replsets)]
  if (made !== runs)
    return { why: `backup ${source.name} is of the replica sets ${made}, and this cluster has ${runs}` }
  if (parts.some((part) => part.encryption?.type !== encryption))
    return { why: `backup ${source.name} is not encrypted as the configuration says` }
  return { source }
}

/** Of PBM's own, nothing tells what has changed since. */
function hasBlocks({ type, status, name, replsets }: BackupDocument): boolean {
  if (type !== 'incremental' || status !== 'done' || replsets.length === 0) return false
  return replsets.every(
    (part) => part.objects?.some((object) => object.name === blockIndexName(name, part.name)) === true,
  )
}

/** The first object that a chain needs and the storage has not; looks at records and lists alone. */
export async function missingInChain(
  store: ObjectStore,
  chain: readonly BackupDocument[],
  options: CallOptions,
): Promise<string | undefined> {
  const limit = pLimit(WIDTH)
  const names = chain.flatMap(({ name, replsets }) => [
    backupMetadataName(name),
    ...replsets.map((part) => filelistName(name, part.name)),
  ])
  const missing = await Promise.all(
    names.map((name) => limit(async () => ((await isThere(store, name, options)) ? undefined : name))),
  )
  return missing.find((name) => name !== undefined)
}

async function isThere(store: ObjectStore, name: string, options: CallOptions): Promise<boolean> {
  try {
    await store.stat(name, options)
    return true
  } catch (error) {
    if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_EMPTY')) return false
    throw error
  }
}

function broken(name: string, why: string): PbmError {
  return new PbmError('CHAIN_BROKEN', `The chain of backup ${name} is broken: ${why}`, {
    hint: 'Restore another one (pbm list), and make a new base: pbm backup -t incremental --base',
  })
}
