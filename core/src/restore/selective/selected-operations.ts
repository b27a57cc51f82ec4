import { documentElement, stringElement } from '../../bson/build.js'
import { findDocument, findString } from '../../bson/elements.js'
import { collectionOf, commandName, databaseOf, type Operation } from '../../oplog/entry.js'
import { withField, withoutFields } from '../../oplog/raw-fields.js'
import { changedId, commandTarget } from '../../oplog/replay/classify.js'
import { isUsersOrRoles, isViews } from '../../oplog/replay/namespaces.js'
import type { OperationChoice } from '../../oplog/replay/options.js'
import { keyOf, viewKey } from './history.js'

/** Where the operations of one collection, time series or view go. */
export interface Destination {
  readonly ns: string
  /** The 16 bytes of the UUID that it has in the target; undefined where its name says which one is meant. */
  readonly uuid: Buffer | undefined
  /** What is older is of another one. */
  readonly since: bigint | undefined
  /** Not a temporary one, whatever it was created as. */
  readonly lasting: boolean
  /** Of a view: what the source is called in the target that it is defined with. */
  readonly source?: (viewOn: string) => string
}

/** The option of collections that the server drops at each start. */
export const TEMPORARY: ReadonlySet<string> = new Set(['temp'])
/** The collections are under their last names, and what the oplog drops was never restored. */
const DONE_ALREADY: ReadonlySet<string> = new Set(['drop', 'dropDatabase', 'renameCollection'])

/**
 * Of an oplog of everything, the operations that the selection ends with: each under the name that its collection has at
 * the end, and the UUID that it has in the target.
 */
export class SelectedOperations implements OperationChoice {
  readonly #destinations: ReadonlyMap<string, Destination>
  /** Whose users and roles are replayed. */
  readonly #databases: ReadonlySet<string>

  constructor(destinations: ReadonlyMap<string, Destination>, databases: ReadonlySet<string>) {
    this.#destinations = destinations
    this.#databases = databases
  }

  choose(operation: Operation, ts: bigint): Operation | undefined {
    const { op, ns } = operation
    if (op === 'c') return this.#command(operation, ts)
    if (isUsersOrRoles(ns)) return this.#databases.has(databaseOf(changedId(operation) ?? '')) ? operation : undefined
    if (isViews(ns)) {
      const view = this.#find(viewKey(changedId(operation) ?? ''), ts)
      return view && definitionOf(operation, view)
    }
    const found = this.#find(keyOf(operation, ns), ts)
    return found && { ...operation, ns: found.ns, ui: found.uuid }
  }

  #command(operation: Operation, ts: bigint): Operation | undefined {
    const command = commandName(operation.o)
    if (DONE_ALREADY.has(command)) return undefined
    const found = this.#find(keyOf(operation, commandTarget(operation)), ts)
    if (found === undefined) return undefined
    const o = command === 'create' && found.lasting ? withoutFields(operation.o, TEMPORARY) : operation.o
    return {
      op: 'c',
      ns: `${databaseOf(found.ns)}.$cmd`,
      ui: found.uuid,
      o: withField(o, stringElement(command, collectionOf(found.ns))),
      o2: undefined,
    }
  }

  #find(key: string, ts: bigint): Destination | undefined {
    const found = this.#destinations.get(key)
    return found === undefined || ts < (found.since ?? 0n) ? undefined : found
  }
}

/** The change of a view's definition as that of the view it becomes. */
function definitionOf(operation: Operation, { ns, source = (viewOn) => viewOn }: Destination): Operation {
  const { o, o2 } = operation
  return {
    ...operation,
    ns: `${databaseOf(ns)}.${collectionOf(operation.ns)}`,
    o: withSource(withId(o, ns), source),
    o2: o2 && withId(o2, ns),
  }
}

function withId(document: Buffer, ns: string): Buffer {
  return findString(document, '_id') === undefined ? document : withField(document, stringElement('_id', ns))
}

/** In a whole definition, and in the difference to the one before: `{diff: {u: {viewOn}}}`. */
function withSource(document: Buffer, source: (viewOn: string) => string): Buffer {
  const viewOn = findString(document, 'viewOn')
  if (viewOn !== undefined) return withField(document, stringElement('viewOn', source(viewOn)))
  for (const name of ['diff', 'u']) {
    const inner = findDocument(document, name)
    if (inner !== undefined) return withField(document, documentElement(name, withSource(inner, source)))
  }
  return document
}
