import { findString } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { commandName, databaseOf, type Operation, optimeText } from '../entry.js'
import { isExcluded } from './namespaces.js'

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
 * replayed. Throws `OPLOG_UNSUPPORTED` for what a replay would have to leave out silently.
 */
export function classify(operation: Operation, ts: bigint): OperationClass {
  const { op, ns } = operation
  if (op === 'i' || op === 'u' || op === 'd') return isExcluded(ns) ? 'skip' : 'change'
  if (OTHER_OPERATIONS.has(op)) return 'skip'
  if (op !== 'c') throw unsupported(`operation '${op}'`, ns, ts)
  const command = commandName(operation.o)
  if (command === 'applyOps') return 'nested'
  if (WITHOUT_EFFECT.has(command)) return 'skip'
  if (isExcluded(commandTarget(operation))) return 'skip'
  if (!COMMANDS.has(command)) throw unsupported(`command '${command}'`, ns, ts)
  return 'command'
}

/** The namespace a command is about; for `dropDatabase` that of the command itself. */
export function commandTarget(operation: Operation): string {
  const command = commandName(operation.o)
  const target = findString(operation.o, command)
  if (target === undefined) return operation.ns
  return command === 'renameCollection' ? target : `${databaseOf(operation.ns)}.${target}`
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
