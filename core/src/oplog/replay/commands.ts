import { buildDocument, stringElement } from '../../bson/build.js'
import { documentsOfArray, findDocument, findString } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { isBuckets } from '../../mongo/time-series.js'
import { collectionOf, commandName, databaseOf, type Operation } from '../entry.js'
import { elementsOf, findUuid, withField, withoutFields } from '../raw-fields.js'
import { commandTarget } from './classify.js'
import { type CatalogCollection, expiryOf, withoutExpiry } from './index-catalog.js'
import { isExcluded, isKnownByName, isUsersOrRoles, isViews } from './namespaces.js'
import type { ReplayOptions } from './options.js'
import { uuidTaken } from './uuid-taken.js'

/** Old storage options that servers still log and no longer take. */
const OBSOLETE_OPTIONS = ['noPadding', 'usePowerOf2Sizes']

/** The commands of an oplog: each keeps the catalog right, and all but those on indexes reach the target. */
export class ReplayCommands {
  readonly #options: ReplayOptions
  /** Collections of which changes were passed over because the target does not have them: UUID or name → name. */
  readonly #unknown = new Map<string, string>()

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  async run(operation: Operation): Promise<void> {
    const command = commandName(operation.o)
    const ns = commandTarget(operation)
    const byName = isKnownByName(ns) || operation.ui === undefined
    const known = this.#options.catalog.find(byName ? undefined : operation.ui, ns)
    switch (command) {
      case 'create':
        return this.#create(operation, ns)
      case 'drop':
        return this.#drop(operation, ns, known)
      case 'dropDatabase':
        return this.#dropDatabase(operation)
      case 'renameCollection':
        return this.#rename(operation, known)
      case 'createIndexes':
        if (known !== undefined) this.#addIndexes(known, operation.o, command)
        return
      case 'commitIndexBuild':
        if (known !== undefined) this.#addIndexes(known, operation.o, command)
        return
      case 'collMod':
        return this.#collMod(operation, known)
      case 'emptycapped':
        return known === undefined ? undefined : this.#apply(operation, known)
      default:
        if (known !== undefined) await this.#dropIndexes(known, operation.o)
    }
  }

  /** Remembers that a change was passed over. It is right only if the collection is dropped later in the window. */
  noteUnknown(uuid: Buffer | undefined, ns: string): void {
    this.#unknown.set(uuid?.toString('hex') ?? ns, ns)
  }

  refuseUnknown(): void {
    const names = [...new Set(this.#unknown.values())]
    if (names.length === 0) return
    throw new PbmError(
      'REPLAY_INCOMPLETE',
      `The oplog changes collections that are neither in the backup nor made by the oplog: ${names.slice(0, 5).join(', ')}`,
      { hint: 'The backup does not have all that its oplog needs; restore from another one.' },
    )
  }

  /** Views are documents of `system.views`, which need not be there yet. `view` is what the document is named. */
  async ensureViews(ns: string, view: string | undefined): Promise<void> {
    const { catalog } = this.#options
    if (view !== undefined) {
      await this.#makeWay(catalog.findByName(view))
      catalog.foreignViews.delete(view)
      catalog.ownViews.add(view)
    }
    if (catalog.findByName(ns) !== undefined) return
    const db = databaseOf(ns)
    const o = withField(Buffer.from([5, 0, 0, 0, 0]), stringElement('create', 'system.views'))
    await this.#options.sink.command({ op: 'c', ns: `${db}.$cmd`, ui: undefined, o, o2: undefined })
    catalog.create(ns, undefined, undefined)
  }

  /**
   * Drops a collection that the target had before the restore and the backup does not have, under a name that the oplog
   * gives to another one. The server would move it aside under a name of its own.
   */
  async #makeWay(collection: CatalogCollection | undefined): Promise<void> {
    if (collection?.foreign === true) await this.#dropNow(collection)
  }

  /** The server would rename or drop it, for it goes by the UUID. */
  #refuseForeign(uuid: Buffer | undefined, ns: string): void {
    const foreign = this.#options.catalog.findForeign(uuid)
    if (foreign !== undefined) throw uuidTaken([{ held: foreign.ns, ns }])
  }

  /** The same for a view. */
  async #makeWayForView(ns: string): Promise<void> {
    if (this.#options.catalog.foreignViews.delete(ns)) await this.#deleteView(ns)
  }

  async #deleteView(ns: string): Promise<void> {
    const o = withField(Buffer.from([5, 0, 0, 0, 0]), stringElement('_id', ns))
    const views = `${databaseOf(ns)}.system.views`
    await this.#options.sink.command({ op: 'd', ns: views, ui: undefined, o, o2: undefined })
  }

  async #create(operation: Operation, ns: string): Promise<void> {
    const { catalog, sink } = this.#options
    const { ui } = operation
    if (!isUsersOrRoles(ns)) {
      await this.#makeWay(catalog.findByName(ns))
      this.#refuseForeign(ui, ns)
      await this.#makeWayForView(ns)
    }
    const here = catalog.findByName(ns)
    const o = withoutExpiry(operation.o)
    if (isKnownByName(ns)) {
      if (here !== undefined) return
      const own = isUsersOrRoles(ns) ? buildDocument([stringElement('create', collectionOf(ns))]) : o
      await sink.command({ ...operation, o: own, ui: this.#isFree(ui, ns) ? ui : undefined, o2: undefined })
      catalog.create(ns, undefined, own).expireAfterSeconds = isUsersOrRoles(ns) ? undefined : expiryOf(operation.o)
      return
    }
    if (ui !== undefined && catalog.reserved.has(ui.toString('hex'))) return this.noteUnknown(ui, ns)
    const same = ui === undefined ? here : catalog.find(ui, ns)
    if (same !== undefined && same.ns === ns) return
    const indexes = same?.indexes
    // Another collection has the name, or this one has another name: the server moves what is in the way aside.
    const moved = here !== undefined || same !== undefined
    await sink.command({ ...operation, o, o2: undefined })
    const created = moved && same !== undefined ? same : catalog.create(ns, ui, o)
    created.expireAfterSeconds = expiryOf(operation.o)
    if (moved) await this.#correctNames(operation.ns, here, created, ns)
    if (indexes !== undefined) for (const [name, spec] of indexes) created.indexes.set(name, spec)
    this.#unknown.delete(ui?.toString('hex') ?? ns)
  }

  /** Sharded buckets are routed by their UUID. Everything else that is known by its name has one of the target's own. */
  #isFree(ui: Buffer | undefined, ns: string): boolean {
    const { catalog } = this.#options
    if (ui === undefined || !isBuckets(ns)) return false
    return !catalog.reserved.has(ui.toString('hex')) && catalog.find(ui, ns) === undefined
  }

  async #drop(operation: Operation, ns: string, known: CatalogCollection | undefined): Promise<void> {
    this.#unknown.delete(operation.ui?.toString('hex') ?? ns)
    this.#unknown.delete(ns)
    if (known === undefined) return
    if (isViews(ns) && this.#hasForeignViews(databaseOf(ns))) return this.#dropOwnViews(databaseOf(ns))
    await this.#apply(operation, known)
    this.#options.catalog.drop(known)
  }

  #hasForeignViews(db: string): boolean {
    return [...this.#options.catalog.foreignViews].some((ns) => ns.startsWith(`${db}.`))
  }

  /** Those that the target has beside the backup are documents of the same collection, and stay. */
  async #dropOwnViews(db: string): Promise<void> {
    const { ownViews } = this.#options.catalog
    for (const ns of ownViews) {
      if (!ns.startsWith(`${db}.`)) continue
      await this.#deleteView(ns)
      ownViews.delete(ns)
    }
  }

  async #dropDatabase(operation: Operation): Promise<void> {
    const db = databaseOf(operation.ns)
    const inside = [...this.#options.catalog.collections()].filter(({ ns }) => ns.startsWith(`${db}.`))
    const keepsViews = this.#hasForeignViews(db)
    if (keepsViews || inside.some(({ foreign }) => foreign)) {
      // What the target has beside the backup stays.
      if (keepsViews) await this.#dropOwnViews(db)
      const own = inside.filter(({ ns, foreign }) => !foreign && !(keepsViews && isViews(ns)))
      for (const collection of own) await this.#dropNow(collection)
    } else {
      await this.#options.sink.command({ ...operation, ui: undefined })
      this.#options.catalog.dropDatabase(db)
    }
    for (const [key, ns] of this.#unknown) if (ns.startsWith(`${db}.`)) this.#unknown.delete(key)
  }

  async #rename(operation: Operation, known: CatalogCollection | undefined): Promise<void> {
    const { catalog, sink } = this.#options
    const to = findString(operation.o, 'to')
    if (to === undefined) return
    if (isExcluded(to)) return this.#leave(operation, known)
    const dropped = findUuid(operation.o, 'dropTarget')
    if (dropped !== undefined) this.#unknown.delete(dropped.toString('hex'))
    const target = dropped === undefined ? undefined : catalog.find(dropped, to)
    if (known === undefined) {
      // The collection itself was dropped before the dump saw it; what it replaced is gone all the same.
      if (target !== undefined) await this.#dropNow(target)
      return
    }
    if (catalog.findByName(to) !== known) await this.#makeWay(catalog.findByName(to))
    this.#refuseForeign(dropped, to)
    await this.#makeWayForView(to)
    const inTheWay = catalog.findByName(to)
    // The server drops what has the UUID, wherever it is.
    const isKnown = dropped === undefined || target !== undefined
    await sink.command(isKnown ? operation : { ...operation, o: withoutFields(operation.o, new Set(['dropTarget'])) })
    if (target !== undefined && target !== known) catalog.drop(target)
    if (inTheWay !== undefined && inTheWay !== target && inTheWay !== known) {
      catalog.rename(known, to)
      await this.#correctNames(operation.ns, inTheWay, known, to)
    } else {
      catalog.rename(known, to)
    }
  }

  /** Renamed to where nothing is restored: gone. */
  async #leave(operation: Operation, known: CatalogCollection | undefined): Promise<void> {
    this.#unknown.delete(operation.ui?.toString('hex') ?? commandTarget(operation))
    if (known !== undefined) await this.#dropNow(known)
  }

  async #dropNow(collection: CatalogCollection): Promise<void> {
    const { ns, uuid } = collection
    const db = databaseOf(ns)
    const o = withField(Buffer.from([5, 0, 0, 0, 0]), stringElement('drop', ns.slice(db.length + 1)))
    const ui = uuid === undefined ? undefined : Buffer.from(uuid, 'hex')
    await this.#options.sink.command({ op: 'c', ns: `${db}.$cmd`, ui, o, o2: undefined })
    this.#options.catalog.drop(collection)
  }

  /** After the server moved `displaced` aside under a name of its own making. */
  async #correctNames(
    commandNs: string,
    displaced: CatalogCollection | undefined,
    kept: CatalogCollection,
    ns: string,
  ): Promise<void> {
    const { catalog } = this.#options
    const db = databaseOf(commandNs)
    catalog.rename(kept, ns)
    if (displaced !== undefined) catalog.readd(displaced)
    catalog.correctNames(db, await this.#options.listNames(db))
  }

  async #dropIndexes(collection: CatalogCollection, o: Buffer): Promise<void> {
    const { catalog, sink, dropIndexes } = this.#options
    const before = [...collection.indexes.keys()]
    catalog.dropIndexes(collection, o)
    const dropped = before.filter((name) => !collection.indexes.has(name))
    if (dropIndexes === undefined || dropped.length === 0) return
    await sink.flush()
    await dropIndexes(collection.ns, dropped)
  }

  #addIndexes(collection: CatalogCollection, o: Buffer, command: string): void {
    // The server makes its own. Any other could delete users, or keep new ones out.
    if (isUsersOrRoles(collection.ns)) return
    const array = findDocument(o, 'indexes')
    // createIndexes has its one spec beside the name of the command.
    const specs = array === undefined ? [withoutFields(o, new Set([command]))] : documentsOfArray(array)
    for (const spec of specs) this.#options.catalog.addIndex(collection, spec)
  }

  async #collMod(operation: Operation, known: CatalogCollection | undefined): Promise<void> {
    if (known === undefined) return
    const index = findDocument(operation.o, 'index')
    if (index !== undefined) this.#options.catalog.modifyIndex(known, index)
    known.expireAfterSeconds = expiryOf(operation.o) ?? known.expireAfterSeconds
    const o = withoutFields(withoutExpiry(operation.o), new Set(['index', ...OBSOLETE_OPTIONS]))
    if (elementsOf(o).length > 1) await this.#apply({ ...operation, o }, known)
  }

  /** Sends the command with the collection's name of today. */
  async #apply(operation: Operation, target: CatalogCollection): Promise<void> {
    const command = commandName(operation.o)
    const db = databaseOf(target.ns)
    await this.#options.sink.command({
      op: 'c',
      ns: `${db}.$cmd`,
      ui: target.uuid === undefined ? undefined : operation.ui,
      o: withField(operation.o, stringElement(command, target.ns.slice(db.length + 1))),
      o2: undefined,
    })
  }
}
