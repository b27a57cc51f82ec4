import type { NamespaceMetadata } from '../../archive/metadata.js'
import { findString } from '../../bson/elements.js'
import { bucketsOf, isBuckets } from '../../mongo/time-series.js'
import { commandName, databaseOf, type Operation } from '../../oplog/entry.js'
import { findUuid, isTrue } from '../../oplog/raw-fields.js'
import { changedId, commandTarget } from '../../oplog/replay/classify.js'
import { isExcluded, isKnownByName, isUsersOrRoles, isViews } from '../../oplog/replay/namespaces.js'

/** A collection, the buckets of a time series, or a view, as the backup and the oplog know it. */
export interface Incarnation {
  /** Its name at the end of what was seen. */
  readonly ns: string
  /** Created by the oplog at this `ts`: what is older under the same key is of another one. Undefined: the backup's. */
  readonly since: bigint | undefined
  /** Of buckets: what makes them one collection on all shards, 32 hex digits. Their name is their key. */
  readonly bucketsUuid?: string | undefined
  /** What the backup has of it. */
  readonly stored: NamespaceMetadata | undefined
  /** Renamed since, which ends that it is a temporary one: the server drops those at each start. */
  readonly lasting: boolean
  /** Neither in the backup nor created by the oplog, so that its documents are nowhere. */
  readonly unknown: boolean
}

/**
 * What exists at the end of an oplog, by the keys that its operations have: the UUID where there is one, for it stays
 * through renames, else the name. So a collection can be restored under its last name from the start, and whatever is
 * dropped before the end need not be restored at all. Memory depends on the collections, not on the oplog.
 */
export class NamespaceHistory {
  readonly #alive = new Map<string, Incarnation>()
  /** What there was and is no more at the end: name → since when. */
  readonly #gone = new Map<string, { readonly ts: bigint; readonly to: string | undefined }>()
  #last = 0n

  constructor(namespaces: readonly NamespaceMetadata[]) {
    for (const stored of namespaces) {
      const { db, collection, type, uuid, bucketsOnly } = stored
      const ns = `${db}.${collection}`
      if (isExcluded(ns) || isUsersOrRoles(ns)) continue
      const known = { since: undefined, stored, lasting: false, unknown: false }
      if (type !== 'collection' && bucketsOnly !== true) this.#alive.set(viewKey(ns), { ns, ...known })
      if (type === 'timeseries') {
        const buckets = bucketsOf(ns)
        this.#alive.set(buckets, { ns: buckets, bucketsUuid: stored.bucketsUuid, ...known })
      }
      if (type === 'collection') this.#alive.set(uuid ?? ns, { ns, ...known })
    }
  }

  /** All that exists now, by key. */
  get alive(): ReadonlyMap<string, Incarnation> {
    return this.#alive
  }

  /** What became of a name that nothing has now; undefined where nothing ever had it. */
  gone(ns: string): { readonly ts: bigint; readonly to: string | undefined } | undefined {
    return this.#gone.get(ns)
  }

  /** A command, or a change of views, in the order of the oplog. Pieces may overlap: what was seen is passed over. */
  see(operation: Operation, ts: bigint): void {
    if (ts < this.#last) return
    this.#last = ts
    if (operation.op === 'c') this.#seeCommand(operation, ts)
    else this.#seeView(operation, ts)
  }

  #seeCommand(operation: Operation, ts: bigint): void {
    const ns = commandTarget(operation)
    switch (commandName(operation.o)) {
      case 'create':
        this.#create(keyOf(operation, ns), ns, ts, operation.ui)
        break
      case 'drop':
        this.#drop(keyOf(operation, ns), ts)
        break
      case 'dropDatabase':
        for (const [key, found] of [...this.#alive]) {
          if (databaseOf(found.ns) === databaseOf(operation.ns)) this.#drop(key, ts)
        }
        break
      case 'renameCollection':
        this.#rename(operation, ns, ts)
    }
  }

  #seeView(operation: Operation, ts: bigint): void {
    const ns = changedId(operation) ?? ''
    if (operation.op === 'd') this.#drop(viewKey(ns), ts)
    else this.#create(viewKey(ns), ns, ts)
  }

  #create(key: string, ns: string, ts: bigint, ui?: Buffer): void {
    if (isViews(ns) || isExcluded(ns) || isUsersOrRoles(ns)) return
    // There already: the dump was made after the oplog began.
    if (this.#alive.get(key)?.unknown === false) return
    const own = isBuckets(ns) && ui !== undefined ? { bucketsUuid: ui.toString('hex') } : {}
    this.#alive.set(key, { ns, since: ts, stored: undefined, lasting: false, unknown: false, ...own })
    this.#gone.delete(ns)
  }

  #drop(key: string, ts: bigint, to?: string): void {
    const found = this.#alive.get(key)
    if (found === undefined) return
    this.#alive.delete(key)
    this.#gone.set(found.ns, { ts, to })
  }

  #rename(operation: Operation, from: string, ts: bigint): void {
    const to = findString(operation.o, 'to') ?? ''
    const key = keyOf(operation, from)
    const dropped = findUuid(operation.o, 'dropTarget')
    if (dropped !== undefined && dropped.toString('hex') !== key) this.#drop(dropped.toString('hex'), ts)
    const found = this.#alive.get(key)
    if (isExcluded(to)) {
      this.#drop(key, ts, to)
      return
    }
    // An unknown one may be dropped before the end; only then nothing is missing.
    const renamed = found ?? { since: undefined, stored: undefined, lasting: false, unknown: true }
    const lasting = renamed.lasting || !isTrue(operation.o, 'stayTemp')
    this.#alive.set(key, { ...renamed, ns: to, lasting })
    if (found !== undefined && found.ns !== to) this.#gone.set(found.ns, { ts, to })
    this.#gone.delete(to)
  }
}

/** Under which key the history has what an operation is about; `ns` is its target. */
export function keyOf({ ui }: Operation, ns: string): string {
  return ui === undefined || isKnownByName(ns) ? ns : ui.toString('hex')
}

export function viewKey(ns: string): string {
  return `view ${ns}`
}
