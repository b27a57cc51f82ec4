import {
  checkedSelection,
  type NamespacePair,
  PbmError,
  parseQuery,
  Renaming,
  type RestoreCommand,
  type Selection,
} from '@pbmkit/core'
import { usageError } from './errors.js'

export interface NamespaceOptions {
  ns?: string
  withUsersAndRoles?: boolean
}

/** What `--ns` chooses; undefined for everything. A wrong one is a wrong command line. */
export function chosenNamespaces({ ns, withUsersAndRoles }: NamespaceOptions): Selection | undefined {
  const entries = ns === undefined ? [] : ns.split(',').map((entry) => entry.trim())
  if (ns !== undefined && ns.trim() === '') throw usageError('--ns is empty', 'Write db.collection, or db.*')
  return asUsage('--ns', () => checkedSelection(entries, withUsersAndRoles))
}

export interface PartOptions extends NamespaceOptions {
  nsFrom?: string
  nsTo?: string
  keepExisting?: boolean
  query?: string
}

/** A part of a backup that is to be restored. */
export interface Part {
  /** For the command. */
  readonly fields: Pick<
    RestoreCommand,
    'nss' | 'nsFrom' | 'nsTo' | 'pairs' | 'usersAndRoles' | 'keepExisting' | 'query'
  >
  /** What happens to what. */
  readonly text: string
  /** The option that agents of PBM do not know; undefined for what they know. */
  readonly own?: string
}

/** What of a backup is to be restored, and where to; undefined for all that it has. */
export function restoredPart(options: PartOptions): Part | undefined {
  const { ns, nsFrom, nsTo, withUsersAndRoles, keepExisting, query } = options
  if (query !== undefined) asUsage('--query', () => parseQuery(query))
  if (keepExisting === true) {
    if (nsFrom !== undefined || nsTo !== undefined)
      throw usageError(
        '--keep-existing and --ns-to exclude each other: what goes beside the live one goes to a free name',
      )
    if (withUsersAndRoles === true)
      throw usageError('--keep-existing is for documents: --with-users-and-roles does not go with it')
    const selection = chosenNamespaces(options)
    if (selection === undefined) throw usageError('--keep-existing needs --ns: say what is to be put back')
    const matching = query === undefined ? '' : `, of the documents that match ${query}`
    const fields = { nss: [...selection.entries], keepExisting: true, ...(query === undefined ? {} : { query }) }
    const text = `what ${selection.entries.join(', ')} lack${matching}, will be put back; what is there stays as it is`
    return { fields, text, own: '--keep-existing' }
  }
  if (query !== undefined && nsFrom === undefined)
    throw usageError(
      '--query would leave out all other documents of the live collection',
      'Say --keep-existing as well, or put what matches beside it with --ns-from and --ns-to.',
    )
  if (nsFrom === undefined && nsTo === undefined) {
    const selection = chosenNamespaces(options)
    if (selection === undefined) return undefined
    const users = withUsersAndRoles === true ? ', and the users and roles of it,' : ''
    return {
      fields: { nss: [...selection.entries], ...(withUsersAndRoles === true ? { usersAndRoles: true } : {}) },
      text: `${selection.entries.join(', ')}${users} will be replaced`,
    }
  }
  if (nsFrom === undefined || nsTo === undefined) throw usageError('--ns-from and --ns-to go only together')
  if (ns !== undefined) throw usageError('--ns and --ns-from exclude each other')
  if (withUsersAndRoles === true) throw usageError('--with-users-and-roles goes only with --ns')
  const pairs = namespacePairs(nsFrom, nsTo)
  const [first] = pairs
  const matching = query === undefined ? '' : `, but only documents that match ${query}`
  const text = `beside the live ones will be put ${pairs.map(({ from, to }) => `${from} as ${to}`).join(', ')}${matching}`
  if (query !== undefined) return { fields: { pairs, query }, text, own: '--query' }
  if (pairs.length > 1 || first === undefined || first.from.endsWith('.*'))
    return { fields: { pairs }, text, own: '--ns-from with more than one collection' }
  return { fields: { nsFrom: first.from, nsTo: first.to }, text }
}

function namespacePairs(nsFrom: string, nsTo: string): NamespacePair[] {
  const [froms, tos] = [nsFrom, nsTo].map((list) => list.split(',').map((entry) => entry.trim())) as [
    string[],
    string[],
  ]
  if (froms.length !== tos.length)
    throw usageError(
      `--ns-from has ${froms.length} names, and --ns-to has ${tos.length}`,
      'The first goes to the first.',
    )
  const pairs = froms.map((from, index) => ({ from, to: tos[index] ?? '' }))
  asUsage('--ns-from, --ns-to', () => Renaming.of(pairs))
  return pairs
}

/** Runs a check of core's: what it refuses was written wrongly in the option. */
export function asUsage<T>(option: string, check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (error instanceof PbmError && (error.code === 'NAMESPACE_INVALID' || error.code === 'QUERY_INVALID')) {
      throw usageError(`${option}: ${error.message}`, error.hint)
    }
    throw error
  }
}
