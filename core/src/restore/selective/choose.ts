import { type MongoClient, MongoServerError } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { findString } from '../../bson/elements.js'
import { parseQuery, queryInvalid } from '../../config/query.js'
import type { MadeNamespace } from '../../control/restore-document.js'
import { Selection } from '../../control/selection.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { CONTROL_DATABASE } from '../../mongo/control-names.js'
import { RawValue } from '../../mongo/raw-command.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import type { OperationChoice } from '../../oplog/replay/options.js'
import type { ObjectStore } from '../../plugin/storage.js'
import type { Snapshot } from '../data/snapshot.js'
import type { OplogPiece } from '../data/stored-objects.js'
import { listTarget } from '../data/target.js'
import { isChosen, usersOrRoles } from '../data/users-and-roles.js'
import { refuseInvalidNamespaces } from '../verify/namespaces.js'
import { checkPieces, type OplogVerification, verifyPieces } from '../verify/oplog.js'
import { NamespaceHistory } from './history.js'
import { madeBeside } from './made.js'
import { type Agreement, destinationOf, planSelective, type SelectivePlan, type Wanted } from './plan.js'
import { SelectedOperations } from './selected-operations.js'
import { existingOf, refuseUnfit, type Staged, stagedPlaces } from './staged.js'

/** How many names a message has. */
const NAMED = 5
/** Stands in the public record of a sealed backup for each of its namespaces. */
const HIDDEN = '(sealed).*'

/** Whether the record of a backup tells no namespaces. */
export function isHidden({ nss }: { readonly nss?: readonly string[] }): boolean {
  return nss?.includes(HIDDEN) === true
}

export interface ChosenPart {
  /** Of the backup, only what is chosen, under the names that it is to have. */
  readonly snapshot: Snapshot
  /** What is put together elsewhere first, by its name there. */
  readonly staged: ReadonlyMap<string, Staged>
  /** Which documents of that go on. */
  readonly query: Buffer | undefined
  /** What the target has under names that are restored is dropped. */
  readonly replaces: boolean
  /** From what the backup has to what is created. */
  readonly restored: ReadonlyMap<NamespaceMetadata, NamespaceMetadata>
  readonly choice: OperationChoice
  /** Names that the oplog creates. */
  readonly created: ReadonlySet<string>
  /** Of these what the target has goes too, where it is replaced. */
  readonly doomed: ReadonlySet<string>
  /** What is made beside the live ones; empty where it goes to its own place. */
  readonly made: readonly MadeNamespace[]
  /** See {@link SelectivePlan}. */
  readonly placeUuids: ReadonlyMap<string, Buffer>
  /** Bytes of oplog on the storage. */
  readonly storedOplog: number
  /** Whose users and roles are restored. */
  readonly databases: ReadonlySet<string>
}

export interface Choosing extends Omit<OplogVerification, 'onCommand'> {
  readonly client: MongoClient
  readonly store: ObjectStore
  readonly oplog: readonly OplogPiece[]
  readonly wanted: Wanted
  readonly log: OperationLog
  /** See `unfinishedInPlace`. */
  readonly unfinished?: ReadonlyMap<string, ReadonlySet<string>> | undefined
  /** Name of the database for what is staged. */
  readonly staging: string
  /** In a sharded cluster: waits until all replica sets know what each of them has. */
  readonly agree?: ((own: OwnPart) => Promise<Agreement>) | undefined
}

/** What one replica set of several knows by itself. */
export interface OwnPart {
  readonly whole: Snapshot
  readonly wanted: Wanted
  readonly history: NamespaceHistory
  /** Of config servers: why what was resharded can't be restored, by the UUID (32 hex digits) that it has since. */
  readonly resharded: ReadonlyMap<string, PbmError>
}

/**
 * Reads the oplog through for what becomes of collections, and decides what of the backup is restored, and as what.
 * Nothing of the target is touched. Throws `BACKUP_DAMAGED`, `NAMESPACE_MISSING`, `NAMESPACE_INCOMPLETE`, `USERS_MISSING`
 * and `NAMESPACE_EXISTS`.
 */
export async function chooseNamespaces(whole: Snapshot, choosing: Choosing): Promise<ChosenPart> {
  const { client, store, oplog, log } = choosing
  const wanted = named(choosing.wanted, whole)
  await refuseInvalidNamespaces(whole.namespaces)
  // Of a cluster the config servers judge that: a shard may have none of its own.
  if (wanted.usersAndRoles && choosing.agree === undefined) refuseMissingUsers(whole)
  const { renaming, keepExisting = false } = wanted
  const query = wanted.query === undefined ? undefined : await checkedQuery(client, wanted.query)
  const single = renaming?.pairs.map(({ to }) => to).filter((to) => !to.endsWith('.*')) ?? []
  await refuseTaken(client, single)
  const history = new NamespaceHistory(whole.namespaces)
  const sizes = await checkPieces(store, oplog, choosing)
  const resharded = new Map<string, PbmError>()
  await verifyPieces(store, oplog, {
    ...choosing,
    onCommand: (command, ts) => history.see(command, ts),
    part: {
      concerns: ({ operation, ns }) => isConcerned(choosing.wanted.selection, operation, ns),
      onResharded: (uuid, refusal) => resharded.set(uuid, refusal),
    },
  })
  const agreement = await choosing.agree?.({ whole, wanted, history, resharded })
  const existing = agreement?.existing ?? existingOf(await listTarget(client), choosing.unfinished)
  const isNarrowed = query !== undefined
  const places = stagedPlaces({ database: choosing.staging, existing, renaming, keepExisting, isNarrowed })
  const plan = planSelective(history, wanted, places, agreement)
  const { staged } = places
  refuseUnfit(staged, existing)
  if (renaming !== undefined) await refuseTaken(client, [...namesOf(plan), ...[...staged.values()].map(({ ns }) => ns)])
  for (const ns of places.left) log.info(`${ns} is there, and stays as it is`)
  await warnOfLostSources(client, plan, log)
  const databases = wanted.usersAndRoles ? wanted.selection.databases : new Set<string>()
  return {
    snapshot: chosenSnapshot(whole, plan, wanted.usersAndRoles),
    staged,
    query,
    replaces: renaming === undefined && !keepExisting,
    restored: plan.restored,
    choice: new SelectedOperations(plan.destinations, databases),
    created: plan.created,
    made: madeOf(wanted, plan, staged, agreement !== undefined),
    placeUuids: plan.placeUuids,
    // In a cluster what any replica set brings: a shard may have a part of it now that the backup does not have there.
    doomed:
      agreement === undefined
        ? plan.created
        : new Set([...agreement.everywhere].map((ns) => destinationOf(wanted, ns))),
    storedOplog: sizes.reduce((sum, size) => sum + size, 0),
    databases,
  }
}

/** What to know of if this restore fails: what is beside the live ones goes, what is at their place is finished. */
function madeOf(
  { renaming, keepExisting = false }: Wanted,
  plan: SelectivePlan,
  staged: ReadonlyMap<string, Staged>,
  isSharded: boolean,
): MadeNamespace[] {
  if (renaming !== undefined) return madeBeside(plan, staged)
  // In a sharded cluster what was not routed yet is no collection that anybody sees.
  if (!keepExisting || isSharded) return []
  return madeBeside(plan, staged).map((one) => ({ ...one, stays: true }))
}

/** Whether what was half done at the end may have to do with what is chosen: what is renamed may become it. */
function isConcerned(selection: Selection, operation: string, ns: string): boolean {
  if (isHidden({ nss: selection.entries }) || selection.has(ns)) return true
  const isWide = operation.startsWith('rename') || collectionOf(ns) === ''
  return isWide && selection.entries.some((entry) => databaseOf(entry) === databaseOf(ns))
}

/** Asks the server, with nothing to look through yet. Throws `QUERY_INVALID`. */
async function checkedQuery(client: MongoClient, text: string): Promise<Buffer> {
  const filter = parseQuery(text)
  const find = { find: 'pbmkit.none', filter: RawValue.document(filter), limit: 1, singleBatch: true }
  await client
    .db(CONTROL_DATABASE)
    .command(find)
    .catch((error: unknown) => {
      throw error instanceof MongoServerError ? queryInvalid(error.message, error) : error
    })
  return filter
}

/** A sealed backup of which only the storage is left tells its namespaces in its sealed list. */
function named(wanted: Wanted, whole: Snapshot): Wanted {
  if (!wanted.selection.entries.includes(HIDDEN)) return wanted
  const listed = whole.namespaces.filter(({ db }) => db !== 'config' && db !== 'admin')
  const selection = Selection.of(listed.map(({ db, collection }) => `${db}.${collection}`))
  return selection === undefined ? wanted : { ...wanted, selection }
}

function chosenSnapshot(whole: Snapshot, { restored }: SelectivePlan, usersAndRoles: boolean): Snapshot {
  const copies = usersAndRoles ? whole.namespaces.filter((one) => isChosen(one, whole.namespaces)) : []
  const asCreated = new Map([...restored, ...copies.map((copy) => [copy, copy] as const)])
  const find = (namespace: NamespaceMetadata) => asCreated.get(namespace)
  return {
    ...whole,
    namespaces: [...asCreated.values()],
    bytesToVerify: [...asCreated.keys()].reduce((sum, { size, packed }) => sum + (packed?.size ?? size), 0),
    readNamespaces: (consume, { select = () => true, ...options }) =>
      whole.readNamespaces(
        async (namespace, documents) => {
          const created = find(namespace)
          if (created !== undefined) await consume(created, documents)
        },
        {
          ...options,
          select: (namespace) => {
            const created = find(namespace)
            return created !== undefined && select(created)
          },
        },
      ),
    verifyNamespaces: (options) => whole.verifyNamespaces({ ...options, select: (one) => find(one) !== undefined }),
  }
}

export function refuseMissingUsers({ namespaces }: Snapshot): void {
  if (namespaces.some((namespace) => usersOrRoles(namespace)?.kind === 'users')) return
  throw new PbmError('USERS_MISSING', 'The backup does not have users and roles', {
    hint: 'Leave --with-users-and-roles out, or choose a full backup or one made with it.',
  })
}

/** Every name that is to be made. */
function namesOf({ restored, created }: SelectivePlan): string[] {
  return [...[...restored.values()].map(({ db, collection }) => `${db}.${collection}`), ...created]
}

async function refuseTaken(client: MongoClient, targets: readonly string[]): Promise<void> {
  if (targets.length === 0) return
  const there = new Set((await listTarget(client)).map(({ db, name }) => `${db}.${name}`))
  const taken = targets.filter((ns) => there.has(ns))
  if (taken.length === 0) return
  const more = taken.length > NAMED ? ` and ${taken.length - NAMED} more` : ''
  const what = taken.length === 1 ? 'is there already' : 'are there already'
  throw new PbmError('NAMESPACE_EXISTS', `${taken.slice(0, NAMED).join(', ')}${more} ${what}`, {
    hint: 'Choose names that are free, or drop them first: nothing is written over.',
  })
}

/** A view shows nothing of a collection that is not there. */
async function warnOfLostSources(client: MongoClient, plan: SelectivePlan, log: OperationLog): Promise<void> {
  const views = [...plan.restored.values()].filter(({ type }) => type === 'view')
  if (views.length === 0) return
  const there = new Set((await listTarget(client)).map(({ db, name }) => `${db}.${name}`))
  for (const { db, collection } of plan.restored.values()) there.add(`${db}.${collection}`)
  for (const { db, collection, options } of views) {
    const source = options === undefined ? undefined : findString(options, 'viewOn')
    if (source === undefined || there.has(`${db}.${source}`) || plan.created.has(`${db}.${source}`)) continue
    log.warning(`the view ${db}.${collection} is restored, and what it shows is not there: ${db}.${source}`)
  }
}
