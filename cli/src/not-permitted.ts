import { PbmError } from '@pbmkit/core'

/** The server's code for a user who lacks a privilege. */
const UNAUTHORIZED = 13
/** The server quotes the whole command, whose first key is its name. */
const REFUSED = /not authorized on (\S+) to execute command \{ (\w+): (?:"((?:pbm|system\.)\w+)")?/
/** What only who gives orders writes. */
const ORDERS: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'findAndModify', 'create', 'createIndexes'])

/** What to say of a command that the user may not run: which one, and the role that lets them; undefined for other errors. */
export function notPermitted(error: unknown): PbmError | undefined {
  if (!(error instanceof Error) || (error as { code?: unknown }).code !== UNAUTHORIZED) return undefined
  const [, db, command, collection] = REFUSED.exec(error.message) ?? []
  const where = db === undefined ? '' : ` on ${collection === undefined ? db : `${db}.${collection}`}`
  const kind = command !== undefined && ORDERS.has(command) ? 'operator' : 'viewer'
  const needed = kind === 'operator' ? 'pbmkitOperator' : 'pbmkitViewer, or pbmkitOperator'
  return new PbmError('NOT_PERMITTED', `the user may not ${command ?? 'do that'}${where}`, {
    hint: `It needs the role ${needed}; an administrator gives it: pbm setup-roles --create --role ${kind} --grant USER`,
  })
}
