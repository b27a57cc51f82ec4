import { findString } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { collectionOf, commandName, databaseOf, type Operation, optimeText } from '../entry.js'
import { isReshardingCopy } from './barriers.js'
import { isExcluded, isUsersOrRoles, isViews } from './namespaces.js'
import { innerOperations } from './transactions.js'

/** What a replay does with an operation. */
export type OperationClass = 'skip' | 'change' | 'command' | 'nested'

/** Commands that a replay handles. */
const COMMANDS: ReadonlySet<string> = new Set([
  'create',
  'drop',
  'dropDatabase',
  'createIndexes',
  'commitIndexBuild',
  'dropIndexes',
  'dropIndex',
  'deleteIndexes',
  'deleteIndex',
  'collMod',
  'renameCollection',
  'emptycapped',
])

/** With these the server makes the collections of users and roles, if there are none. */
const MAKING_USERS: ReadonlySet<string> = new Set(['create', 'createIndexes', 'commitIndexBuild'])
/** No server lets anybody do these to users and roles, or to `admin` as a whole. */
const REMOVING: ReadonlySet<string> = new Set(['drop', 'dropDatabase', 'emptycapped'])
/** Servers put operations into `applyOps`, and none into one that is inside another. */
const MOST_NESTED = 8

/** Commands without effect on what a restore gives back: an index build counts when it commits. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'startIndexBuild',
  'abortIndexBuild',
  'dbCheck',
  'dropIdent',
  'setMultikeyMetadata',
  // The end of a transaction that is no longer, or never was, open.
  'commitTransaction',
  'abortTransaction',
])

/** Operations that are not changes of data: no-ops and those on index keys. */
const OTHER_OPERATIONS: ReadonlySet<string> = new Set(['n', 'ci', 'cu', 'cd', 'km'])

/**
 * Decides without looking at the target, so that a check of the whole oplog before a restore finds what can't be
 * replayed. Throws `OPLOG_UNSUPPORTED` for what a replay would have to leave out silently, and for what no server logs
 * and would reach what a restore must not touch. `isPart`: of a restore of chosen namespaces, whose history tells whether what a
 * resharding has made is one of them.
 */
export function classify(operation: Operation, ts: bigint, isPart = false): OperationClass {
  const { op, ns } = operation
  if (op === 'i' || op === 'u' || op === 'd') return classifyChange(operation, ts)
  if (OTHER_OPERATIONS.has(op)) return 'skip'
  if (op !== 'c') throw unsupported(`operation '${op}'`, ns, ts)
  if (collectionOf(ns) !== '$cmd') throw unsupported('command of a collection', ns, ts)
  const command = commandName(operation.o)
  if (command === 'applyOps') return 'nested'
  if (WITHOUT_EFFECT.has(command)) return 'skip'
  const target = commandTarget(operation)
  if (command === 'renameCollection' && isPart && isReshardingCopy(target)) return 'command'
  if (command === 'renameCollection') return classifyRename(target, findString(operation.o, 'to') ?? '', ts)
  if (isExcluded(target)) return 'skip'
  if (!COMMANDS.has(command)) throw unsupported(`command '${command}'`, ns, ts)
  const isOfUsers = isUsersOrRoles(target) || (command === 'dropDatabase' && databaseOf(ns) === 'admin')
  if (!isOfUsers) return 'command'
  if (REMOVING.has(command)) throw unsupported(`command '${command}'`, target, ts)
  return MAKING_USERS.has(command) ? 'command' : 'skip'
}

/** `depth` counts the `applyOps` around. Throws `OPLOG_UNSUPPORTED` where there are more than any server logs. */
export function operationsInside(operation: Operation, ts: bigint, depth: number): Operation[] {
  if (depth > MOST_NESTED) throw unsupported(`'applyOps' nested more than ${MOST_NESTED} times`, operation.ns, ts)
  return innerOperations(operation.o)
}

/** The namespace a command is about; for `dropDatabase` that of the command itself. */
export function commandTarget(operation: Operation): string {
  const command = commandName(operation.o)
  const target = command === 'dropDatabase' ? undefined : findString(operation.o, command)
  if (target === undefined) return operation.ns
  return command === 'renameCollection' ? target : `${databaseOf(operation.ns)}.${target}`
}

/** The `_id` of the user, role or view that a change is about; undefined where it is no text. */
export function changedId({ op, o, o2 }: Operation): string | undefined {
  return findString(op === 'u' ? (o2 ?? o) : o, '_id')
}

function classifyChange(operation: Operation, ts: bigint): OperationClass {
  const { op, ns } = operation
  if (isExcluded(ns)) return 'skip'
  if (!isUsersOrRoles(ns) && !isViews(ns)) return 'change'
  // The server would take an object for a query, which may find any of them.
  const id = changedId(operation)
  if (id === undefined) throw unsupported(`operation '${op}' without the name of its document`, ns, ts)
  return isViews(ns) && (isExcluded(id) || isUsersOrRoles(id)) ? 'skip' : 'change'
}

/**
 * A collection that goes where nothing is restored is gone, as for `convertToCapped` of a control collection. Of one that
 * comes from there the backup does not have the documents.
 */
function classifyRename(source: string, to: string, ts: bigint): OperationClass {
  if (isExcluded(source) && isExcluded(to)) return 'skip'
  if (isExcluded(source)) throw unsupported(`command 'renameCollection' to ${to}`, source, ts)
  for (const ns of [source, to]) {
    if (isUsersOrRoles(ns) || isViews(ns)) throw unsupported(`command 'renameCollection' to ${to}`, source, ts)
  }
  return 'command'
}

function unsupported(what: string, ns: string, ts: bigint): PbmError {
  return new PbmError(
    'OPLOG_UNSUPPORTED',
    `The oplog has at ${optimeText(ts)} the ${what} on ${ns}, which can't be replayed`,
    {
      hint: 'Restore to a time before it, or from a backup made after it.',
    },
  )
}
