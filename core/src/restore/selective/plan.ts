import { randomBytes } from 'node:crypto'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import type { Selection } from '../../control/selection.js'
import { PbmError } from '../../errors.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import { withoutFields } from '../../oplog/raw-fields.js'
import { nearest } from '../../similar-words.js'
import { type Incarnation, type NamespaceHistory, viewKey } from './history.js'
import { type Destination, TEMPORARY } from './selected-operations.js'

export const BUCKETS = 'system.buckets.'
/** How many names a message has. */
const NAMED = 5

/** What a selective restore is asked for. */
export interface Wanted {
  readonly selection: Selection
  /** With the users and roles of its databases. */
  readonly usersAndRoles: boolean
  /** Where the one collection goes that is selected, if not to its own place. */
  readonly target?: string | undefined
}

export interface SelectivePlan {
  /** Namespaces of the backup, by the name there, as they are to be created: under the names of the end. */
  readonly restored: ReadonlyMap<NamespaceMetadata, NamespaceMetadata>
  /** Where operations go, by the key that they have. */
  readonly destinations: ReadonlyMap<string, Destination>
  /** Names that the oplog creates. */
  readonly created: ReadonlySet<string>
}

/**
 * Pure but for new UUIDs: the server would take a collection with a UUID of the backup for the one that has it by now,
 * which may have been renamed and must stay. Throws `NAMESPACE_MISSING` and `NAMESPACE_INCOMPLETE`, and for what can't be
 * put beside the live one `RESTORE_UNSUPPORTED`.
 */
export function planSelective(history: NamespaceHistory, { selection, target }: Wanted): SelectivePlan {
  const restored = new Map<NamespaceMetadata, NamespaceMetadata>()
  const destinations = new Map<string, Destination>()
  const created = new Set<string>()
  const found = [...history.alive].filter(([, { ns }]) => selection.has(ns))
  refuseMissing(history, selection, new Set(found.map(([, { ns }]) => ns)))
  refuseIncomplete(found)
  for (const [key, incarnation] of found) {
    const { ns, since, stored, lasting } = incarnation
    if (key === viewKey(ns)) {
      if (target !== undefined) {
        refuseViewElsewhere(incarnation)
        continue
      }
      destinations.set(key, { ns, uuid: undefined, since, lasting })
      if (stored?.type === 'view') restored.set(stored, stored)
    } else {
      const isBuckets = collectionOf(ns).startsWith(BUCKETS)
      const name = target ?? (isBuckets ? ns.replace(BUCKETS, '') : ns)
      const uuid = isBuckets ? undefined : randomUuid()
      const own = { db: databaseOf(name), collection: collectionOf(name), collectionName: collectionOf(name) }
      const place = isBuckets ? `${own.db}.${BUCKETS}${own.collection}` : name
      destinations.set(key, { ns: place, uuid, since, lasting })
      if (stored !== undefined) {
        const options = lasting && stored.options ? withoutFields(stored.options, TEMPORARY) : stored.options
        restored.set(stored, { ...stored, ...own, options, uuid: uuid?.toString('hex'), bucketsUuid: undefined })
      }
    }
    if (stored === undefined) created.add(target ?? ns)
  }
  return { restored, destinations, created }
}

/** Names that the backup can't have, or lost before the end: nothing would be there in their place. */
function refuseMissing(history: NamespaceHistory, selection: Selection, names: ReadonlySet<string>): void {
  const known = [...new Set([...history.alive.values()].map(({ ns }) => ns.replace(`.${BUCKETS}`, '.')))]
  const databases = new Set([...names].map(databaseOf))
  const missing = [
    ...[...selection.namespaces].filter((ns) => !names.has(ns)),
    ...[...selection.databases].filter((db) => !databases.has(db)).map((db) => `${db}.*`),
  ]
  if (missing.length === 0) return
  const told = missing.slice(0, NAMED).map((ns) => {
    const gone = history.gone(ns)
    if (gone === undefined) return ns
    const what = gone.to === undefined ? 'dropped' : `renamed to ${gone.to}`
    return `${ns} (${what} at ${new Date(Number(gone.ts >> 32n) * 1000).toISOString()})`
  })
  const first = missing[0] ?? ''
  const close = nearest(first, known)
  const beside = known.filter((ns) => databaseOf(ns) === databaseOf(first)).slice(0, NAMED)
  const hints = [...new Set([...(close === undefined ? [] : [close]), ...beside])]
  // In the message: what failed before anything was changed has that as its hint.
  const there = hints.length === 0 ? '' : `; there is ${hints.join(', ')}`
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

function refuseViewElsewhere({ ns, since, stored }: Incarnation): void {
  const what = stored?.type === 'timeseries' ? undefined : since === undefined ? 'a view' : 'created by the oplog'
  if (what === undefined) return
  throw new PbmError('RESTORE_UNSUPPORTED', `${ns} can't be put beside the live one: it is ${what}`, {
    hint: 'Create a view by hand, or choose a time before a time series was created anew.',
  })
}

/** Of version 4, as the server makes them. */
function randomUuid(): Buffer {
  const bytes = randomBytes(16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes
}
