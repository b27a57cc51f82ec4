import {
  checkedSelection,
  type NamespacePair,
  PbmError,
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
}

/** A part of a backup that is to be restored. */
export interface Part {
  /** For the command. */
  readonly fields: Pick<RestoreCommand, 'nss' | 'nsFrom' | 'nsTo' | 'pairs' | 'usersAndRoles'>
  /** What happens to what. */
  readonly text: string
  /** The option that agents of PBM do not know; undefined for what they know. */
  readonly own?: string
}

/** What of a backup is to be restored, and where to; undefined for all that it has. */
export function restoredPart(options: PartOptions): Part | undefined {
  const { ns, nsFrom, nsTo, withUsersAndRoles } = options
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
  const text = `beside the live ones will be put ${pairs.map(({ from, to }) => `${from} as ${to}`).join(', ')}`
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
    if (error instanceof PbmError && error.code === 'NAMESPACE_INVALID') {
      throw usageError(`${option}: ${error.message}`, error.hint)
    }
    throw error
  }
}
