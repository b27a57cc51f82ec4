import type { MongoClient } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { findString } from '../../bson/elements.js'
import { Selection } from '../../control/selection.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { OperationChoice } from '../../oplog/replay/options.js'
import type { ObjectStore } from '../../plugin/storage.js'
import type { Snapshot } from '../data/snapshot.js'
import type { OplogPiece } from '../data/stored-objects.js'
import { listTarget } from '../data/target.js'
import { isChosen, usersOrRoles } from '../data/users-and-roles.js'
import { refuseInvalidNamespaces } from '../verify/namespaces.js'
import { checkPieces, type OplogVerification, verifyPieces } from '../verify/oplog.js'
import { NamespaceHistory } from './history.js'
import { planSelective, type SelectivePlan, type Wanted } from './plan.js'
import { SelectedOperations } from './selected-operations.js'

/** Stands in the public record of a sealed backup for each of its namespaces. */
const HIDDEN = '(sealed).*'

/** Whether the record of a backup tells no namespaces. */
export function isHidden({ nss }: { readonly nss?: readonly string[] }): boolean {
  return nss?.includes(HIDDEN) === true
}

export interface ChosenPart {
  /** Of the backup, only what is chosen, under the names that it is to have. */
  readonly snapshot: Snapshot
  /** From what the backup has to what is created. */
  readonly restored: ReadonlyMap<NamespaceMetadata, NamespaceMetadata>
  readonly choice: OperationChoice
  /** Names that the oplog creates: what the target has there goes too. */
  readonly created: ReadonlySet<string>
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
  if (wanted.usersAndRoles) refuseMissingUsers(whole)
  if (wanted.target !== undefined) await refuseTaken(client, wanted.target)
  const history = new NamespaceHistory(whole.namespaces)
  const sizes = await checkPieces(store, oplog, choosing)
  await verifyPieces(store, oplog, { ...choosing, onCommand: (command, ts) => history.see(command, ts) })
  const plan = planSelective(history, wanted)
  await warnOfLostSources(client, plan, log)
  const databases = wanted.usersAndRoles ? wanted.selection.databases : new Set<string>()
  return {
    snapshot: chosenSnapshot(whole, plan, wanted.usersAndRoles),
    restored: plan.restored,
    choice: new SelectedOperations(plan.destinations, databases),
    created: plan.created,
    storedOplog: sizes.reduce((sum, size) => sum + size, 0),
    databases,
  }
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

function refuseMissingUsers({ namespaces }: Snapshot): void {
  if (namespaces.some((namespace) => usersOrRoles(namespace)?.kind === 'users')) return
  throw new PbmError('USERS_MISSING', 'The backup does not have users and roles', {
    hint: 'Leave --with-users-and-roles out, or choose a full backup or one made with it.',
  })
}

async function refuseTaken(client: MongoClient, target: string): Promise<void> {
  const dot = target.indexOf('.')
  const [db, name] = [target.slice(0, dot), target.slice(dot + 1)]
  if ((await client.db(db).listCollections({ name }, { nameOnly: true }).toArray()).length === 0) return
  throw new PbmError('NAMESPACE_EXISTS', `${target} is there already`, {
    hint: 'Choose a name that is free, or drop it first: nothing is written over.',
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
