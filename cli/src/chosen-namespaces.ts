import { checkedSelection, PbmError, type Selection } from '@pbmkit/core'
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
