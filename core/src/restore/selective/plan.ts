import type { NamespaceMetadata } from '../../archive/metadata.js'
import { stringElement } from '../../bson/build.js'
import { findString } from '../../bson/elements.js'
import type { Renaming } from '../../control/renaming.js'
import type { ExistingNamespace } from '../../control/restore-document.js'
import type { Selection } from '../../control/selection.js'
import { PbmError } from '../../errors.js'
import { BUCKETS_PREFIX, bucketsOf, isBuckets, userName } from '../../mongo/time-series.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import { withField, withoutFields } from '../../oplog/raw-fields.js'
import { nearest } from '../../similar-words.js'
import { type Incarnation, type NamespaceHistory, viewKey } from './history.js'
import { randomUuid } from './new-uuids.js'
import { type Destination, TEMPORARY } from './selected-operations.js'

/** How many names a message has. */
const NAMED = 5

/** What a selective restore is asked for. */
export interface Wanted {
  readonly selection: Selection
  /** With the users and roles of its databases. */
  readonly usersAndRoles: boolean
  /** Where it goes, if not to its own place. */
  readonly renaming?: Renaming | undefined
  /** What is missing is put back, and what is there stays as it is. */
  readonly keepExisting?: boolean
  /** Extended JSON: only the documents that match. */
  readonly query?: string | undefined
}

export interface SelectivePlan {
  /** Namespaces of the backup, by the name there, as they are to be created: under the names of the end. */
  readonly restored: ReadonlyMap<NamespaceMetadata, NamespaceMetadata>
  /** Where operations go, by the key that they have. */
  readonly destinations: ReadonlyMap<string, Destination>
  /** Names that the oplog creates. */
  readonly created: ReadonlySet<string>
  /** The UUID (16 bytes) that what is staged is to get at its place, by its name while it is staged. */
  readonly placeUuids: ReadonlyMap<string, Buffer>
}

/** What the replica sets of a sharded cluster agree on, each of which knows a part only. */
export interface Agreement {
  /** Of what is chosen, by the names that users know, what this replica set restores. */
  readonly here: ReadonlySet<string>
  /** All of it, on whichever replica sets. */
  readonly everywhere: ReadonlySet<string>
  /** What the cluster has of it now and keeps, by name; nothing where it is replaced. */
  readonly existing: ReadonlyMap<string, ExistingNamespace>
  /** The UUID (16 bytes) that a collection is given on all of them, by the one (hex) that it had. */
  uuidOf(uuid: string): Buffer
}

export type NamespaceKind = NamespaceMetadata['type']

/** Where a restore puts what it has chosen. */
export interface Places {
  /** Undefined: it is left out. `ns` is what users know, also of buckets. */
  of(ns: string, kind: NamespaceKind): string | undefined
  /** The name that a view's source has in the end. */
  sourceOf(ns: string): string
  /** Whether it is the name of what is taken from there to its place later. */
  isStaged(name: string): boolean
}

/**
 * Pure but for new UUIDs: the server would take a collection with a UUID of the backup for the one that has it by now,
 * which may have been renamed and must stay. Throws `NAMESPACE_MISSING` and `NAMESPACE_INCOMPLETE`, and `NAMESPACE_EXISTS`
 * where two would have one place.
 */
export function planSelective(
  history: NamespaceHistory,
  { selection, renaming }: Wanted,
  places: Places = placesOf(renaming),
  agreement?: Agreement,
): SelectivePlan {
  const restored = new Map<NamespaceMetadata, NamespaceMetadata>()
  const destinations = new Map<string, Destination>()
  const created = new Set<string>()
  const placeUuids = new Map<string, Buffer>()
  const all = [...history.alive].filter(([, { ns }]) => selection.has(ns))
  const found = agreement === undefined ? all : all.filter(([, { ns }]) => agreement.here.has(userName(ns)))
  if (agreement === undefined) refuseMissing(missingOf(history, selection))
  refuseIncomplete(found)
  const taken = new Map<string, string>()
  const series = new Set(found.flatMap(([, { ns }]) => (isBuckets(ns) ? [userName(ns)] : [])))
  for (const [key, { ns, since, stored, lasting, bucketsUuid }] of found) {
    const named = userName(ns)
    const isDefinition = key === viewKey(ns)
    const kind = series.has(named) ? 'timeseries' : isDefinition ? 'view' : 'collection'
    const name = places.of(named, kind)
    if (name === undefined) continue
    refuseSamePlace(taken, name, named)
    const own = { db: databaseOf(name), collection: collectionOf(name), collectionName: collectionOf(name) }
    if (isDefinition) {
      const source = (viewOn: string) => sourceOf(places, ns, name, viewOn)
      destinations.set(key, { ns: name, uuid: undefined, since, lasting, source })
      if (stored?.type === 'view') restored.set(stored, { ...stored, ...own, options: viewOptions(stored, source) })
    } else {
      const buckets = isBuckets(ns)
      const known = buckets ? bucketsUuid : key
      const agreed = known === undefined ? undefined : agreement?.uuidOf(known)
      const isStaged = places.isStaged(name)
      // What is staged is one shard's own; only its place is known to all.
      if (isStaged) placeUuids.set(name, agreed ?? randomUuid())
      const uuid = (isStaged ? undefined : agreed) ?? (buckets && renaming === undefined ? undefined : randomUuid())
      const place = buckets ? bucketsOf(name) : name
      destinations.set(key, { ns: place, uuid, since, lasting })
      if (stored !== undefined) {
        const options = lasting && stored.options ? withoutFields(stored.options, TEMPORARY) : stored.options
        const hex = uuid?.toString('hex')
        const uuids = buckets ? { uuid: undefined, bucketsUuid: hex } : { uuid: hex, bucketsUuid: undefined }
        restored.set(stored, { ...stored, ...own, options, ...uuids })
      }
    }
    if (stored === undefined) created.add(destinations.get(key)?.ns ?? name)
  }
  return { restored, destinations, created, placeUuids }
}

/** Their own, or what they are renamed to. */
export function placesOf(renaming: Renaming | undefined): Places {
  const isStaged = () => false
  if (renaming === undefined) return { of: (ns) => ns, sourceOf: (ns) => ns, isStaged }
  return { of: (ns) => renaming.to(ns), sourceOf: (ns) => renaming.to(ns) ?? ns, isStaged }
}

/** The name that what users know as `ns` is to have. */
export function destinationOf({ renaming }: Wanted, ns: string): string {
  return placesOf(renaming).sourceOf(ns)
}

/** What the view `ns`, which becomes `name`, shows there: a view and its source have one database. */
function sourceOf(places: Places, ns: string, name: string, viewOn: string): string {
  if (viewOn.startsWith(BUCKETS_PREFIX)) return `${BUCKETS_PREFIX}${collectionOf(name)}`
  const source = places.sourceOf(`${databaseOf(ns)}.${viewOn}`)
  return databaseOf(source) === databaseOf(name) ? collectionOf(source) : viewOn
}

function viewOptions({ options }: NamespaceMetadata, source: (viewOn: string) => string): Buffer | undefined {
  const viewOn = options === undefined ? undefined : findString(options, 'viewOn')
  if (options === undefined || viewOn === undefined) return options
  return withField(options, stringElement('viewOn', source(viewOn)))
}

function refuseSamePlace(taken: Map<string, string>, name: string, from: string): void {
  const other = taken.get(name)
  taken.set(name, from)
  if (other === undefined || other === from) return
  throw new PbmError('NAMESPACE_EXISTS', `${other} and ${from} would both become ${name}`, {
    hint: 'Give each of them a name of its own, or restore them one after the other.',
  })
}

/** What of a selection exists at the end, by the names that users know. */
export function chosenNames(history: NamespaceHistory, selection: Selection): Set<string> {
  return new Set([...history.alive.values()].filter(({ ns }) => selection.has(ns)).map(({ ns }) => userName(ns)))
}

/** What one replica set knows of entries that nothing has there. */
export interface Missing {
  readonly entries: readonly { readonly entry: string /** What became of it there. */; readonly gone?: string }[]
  /** Names that may be meant. */
  readonly near: readonly string[]
}

export function missingOf(history: NamespaceHistory, selection: Selection): Missing {
  const absent = absentFrom(selection, chosenNames(history, selection))
  const entries = absent.map((entry) => {
    const gone = history.gone(entry)
    if (gone === undefined) return { entry }
    const what = gone.to === undefined ? 'dropped' : `renamed to ${gone.to}`
    return { entry, gone: `${what} at ${new Date(Number(gone.ts >> 32n) * 1000).toISOString()}` }
  })
  const first = absent[0]
  if (first === undefined) return { entries, near: [] }
  const known = [...new Set([...history.alive.values()].map(({ ns }) => userName(ns)))]
  const close = nearest(first, known)
  const beside = known.filter((ns) => databaseOf(ns) === databaseOf(first)).slice(0, NAMED)
  return { entries, near: [...new Set([...(close === undefined ? [] : [close]), ...beside])] }
}

/** The entries of a selection that none of the names belongs to. */
export function absentFrom(selection: Selection, names: ReadonlySet<string>): string[] {
  const databases = new Set([...names].map(databaseOf))
  return [
    ...[...selection.namespaces].filter((ns) => !names.has(ns)),
    ...[...selection.databases].filter((db) => !databases.has(db)).map((db) => `${db}.*`),
  ]
}

/** Names that the backup can't have, or lost before the end: nothing would be there in their place. */
export function refuseMissing({ entries, near }: Missing): void {
  if (entries.length === 0) return
  const told = entries.slice(0, NAMED).map(({ entry, gone }) => (gone === undefined ? entry : `${entry} (${gone})`))
  // In the message: what failed before anything was changed has that as its hint.
  const there = near.length === 0 ? '' : `; there is ${near.slice(0, NAMED + 1).join(', ')}`
  throw new PbmError('NAMESPACE_MISSING', `Neither the backup nor the oplog up to then has ${told.join(', ')}${there}`)
}

function refuseIncomplete(found: readonly (readonly [string, Incarnation])[]): void {
  const incomplete = found.filter(
    ([key, { ns, stored, unknown }]) => unknown || (key === ns && stored?.type === 'collection'),
  )
  if (incomplete.length === 0) return
  const names = incomplete.slice(0, NAMED).map(([, { ns }]) => ns)
  throw new PbmError(
    'NAMESPACE_INCOMPLETE',
    `The backup does not have all documents of ${names.join(', ')}: what was renamed to that is not in it`,
    { hint: 'Restore from a full backup, or to a time before the rename.' },
  )
}
