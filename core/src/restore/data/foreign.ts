import { findString } from '../../bson/elements.js'
import { isBuckets, userName } from '../../mongo/time-series.js'
import { commandName, type Operation } from '../../oplog/entry.js'
import { findUuid } from '../../oplog/raw-fields.js'
import { commandTarget } from '../../oplog/replay/classify.js'
import { isExcluded, isKnownByName, isUsersOrRoles, isViews } from '../../oplog/replay/namespaces.js'
import { uuidTaken } from '../../oplog/replay/uuid-taken.js'
import { damaged } from './stored-objects.js'
import type { TargetCollection } from './target.js'

/** How the server names what stood where an oplog entry puts another collection: `tmp5x1Kq.create`. */
export const MOVED_ASIDE = /^tmp.{5}\.(create|rename)$/

export interface NamedByUuid {
  readonly db: string
  readonly collection: string
  readonly uuid?: string | undefined
  readonly bucketsUuid?: string | undefined
}

/**
 * Collections of the target that the backup does not have by name, but which have a UUID that the restore needs: they
 * were renamed since. The server would take them for the restored ones. Memory depends on the target, not on the oplog.
 *
 * With `afterInterrupted`, a restore before this one changed data and did not end. What the server had moved aside for it then,
 * and has a UUID that this restore needs, nobody but that one can have made.
 */
export class ForeignCollections {
  readonly #byUuid = new Map<string, string>()
  readonly #names = new Set<string>()
  /** UUID → the collection of the backup or of the oplog that needs it. */
  readonly #needed = new Map<string, string>()
  readonly #reserved: ReadonlyMap<string, string>
  /** Names that the oplog gives as well. */
  readonly #replaced = new Set<string>()
  /** Of an interrupted restore, where a UUID says so. */
  readonly #aside = new Set<string>()

  /** `reserved`: UUID → name of what a restore never replaces, see `reservedUuids`. */
  constructor(
    target: readonly TargetCollection[],
    namespaces: readonly NamedByUuid[],
    reserved: ReadonlyMap<string, string> = new Map(),
    { afterInterrupted = false }: { readonly afterInterrupted?: boolean | undefined } = {},
  ) {
    this.#reserved = reserved
    for (const [uuid, ns] of reserved) {
      this.#byUuid.set(uuid, ns)
      this.#names.add(ns)
    }
    const restored = new Set(namespaces.map(({ db, collection }) => `${db}.${collection}`))
    for (const { db, name, uuid } of target) {
      const ns = `${db}.${name}`
      if (uuid === undefined || restored.has(ns) || restored.has(userName(ns))) continue
      this.#byUuid.set(uuid, ns)
      this.#names.add(ns)
      if (afterInterrupted && MOVED_ASIDE.test(name)) this.#aside.add(ns)
    }
    for (const { db, collection, uuid, bucketsUuid } of namespaces) {
      for (const own of [uuid, bucketsUuid]) if (own !== undefined) this.#need(own, `${db}.${collection}`)
    }
  }

  /** Whether there is anything that only the oplog can tell to be its own. */
  get isEmpty(): boolean {
    return ![...this.#names].some((ns) => !isExcluded(ns) && !isUsersOrRoles(ns) && !isViews(ns))
  }

  /** Namespaces that have to go because the oplog brings them back, by name and by UUID, or because they are left of a restore. */
  get doomed(): ReadonlySet<string> {
    const names = [...this.#needed.keys()].map((uuid) => this.#byUuid.get(uuid) ?? '')
    return new Set(names.filter((ns) => this.#isOurs(ns)))
  }

  /** A command that the oplog will run. */
  see(operation: Operation): void {
    if (operation.op !== 'c') return
    const command = commandName(operation.o)
    if (command === 'create') {
      const ns = commandTarget(operation)
      // The replay creates it without its UUID. `system.views` has what stays, and can't go while there are time series.
      if (isKnownByName(ns) && !isBuckets(ns)) return
      if (operation.ui !== undefined && !isExcluded(ns)) this.#need(operation.ui.toString('hex'), ns)
      this.#give(ns)
    } else if (command === 'renameCollection') {
      const to = findString(operation.o, 'to') ?? ''
      const dropped = findUuid(operation.o, 'dropTarget')
      if (dropped !== undefined) this.#need(dropped.toString('hex'), to)
      this.#give(to)
    }
  }

  /**
   * The server has room for one collection of a UUID. Throws UUID_TAKEN where the other one is not the backup's to drop, and
   * BACKUP_DAMAGED where no backup could have it.
   */
  refuse(): void {
    const taken = [...this.#needed].flatMap(([uuid, ns]) => {
      const held = this.#byUuid.get(uuid)
      return held === undefined || this.#isOurs(held) ? [] : [{ held, ns, uuid }]
    })
    const forged = taken.find(({ uuid }) => this.#reserved.has(uuid))
    if (forged !== undefined)
      throw damaged(`The oplog has ${forged.ns} under the UUID that ${forged.held} has here, which no restore touches`)
    if (taken.length > 0) throw uuidTaken(taken)
  }

  #isOurs(ns: string): boolean {
    return this.#replaced.has(ns) || this.#aside.has(ns)
  }

  #need(uuid: string, ns: string): void {
    if (this.#byUuid.has(uuid)) this.#needed.set(uuid, ns)
  }

  #give(ns: string): void {
    if (this.#names.has(ns)) this.#replaced.add(ns)
  }
}
