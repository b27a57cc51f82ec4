import type { Progress } from './backup-document.js'
import type { ChosenThere, GainedRoles } from './restore-document.js'

/** What a restore would do, as `pbm restore --dry-run` asks: noted in the document of the look in `pbmOpLog`. */
export interface RestorePlan {
  /** What there would be, by name; the largest where there are too many to be listed. */
  readonly namespaces: readonly PlannedNamespace[]
  /** What of the target would go. */
  readonly dropped: readonly DroppedNamespace[]
  /** Of all, those not listed too; in a sharded cluster `staying` counts a sharded one on each shard. */
  readonly totals: { readonly restored: Tallied; readonly dropped: Tallied; readonly staying: number }
  /** What would be read of the backup, beside its lists. */
  readonly objects: readonly PlannedObject[]
  readonly oplog: readonly PlannedOplog[]
  /** Of how many databases users and roles would be replaced; `all`; `none`. */
  readonly usersAndRoles: 'all' | 'none' | readonly string[]
  readonly gainedRoles: readonly GainedRoles[]
  readonly warnings: readonly string[]
}

export interface PlannedNamespace {
  readonly ns: string
  readonly type: 'collection' | 'view' | 'timeseries'
  /** Its name in the backup, where that is another one; undefined where the oplog creates it. */
  readonly from?: string
  /** That of the oplog, so that the documents are known only when it is replayed. */
  readonly createdByOplog?: true
  /** What is missing is put into the one that is there. */
  readonly intoExisting?: true
  /** In the backup; of time series, buckets. */
  readonly documents: number
  /** Of BSON. */
  readonly bytes: number
}

export interface DroppedNamespace {
  readonly ns: string
  readonly type: string
  /** By the count of the server, which may be a little off after a crash. */
  readonly documents: number
  readonly bytes: number
}

export interface Tallied {
  readonly namespaces: number
  readonly documents: number
  readonly bytes: number
}

export interface PlannedObject {
  readonly name: string
  /** On the storage. */
  readonly bytes: number
}

export interface PlannedOplog extends PlannedObject {
  /** Of a backup, or a chunk of point-in-time recovery. */
  readonly kind: 'backup' | 'chunk'
  /** Unix seconds, both inclusive. */
  readonly start: number
  readonly end: number
}

/** How far the look of one replica set is, and in the end what it found. */
export interface PlanNote {
  readonly progress?: Progress
  readonly plan?: RestorePlan
  /** In a sharded cluster, for the others. */
  readonly chosen?: ChosenThere
  /** Why there is no plan. */
  readonly error?: string
}

/** One plan of those of all replica sets: what a collection has on several shards is added up. */
export function mergePlans(plans: readonly RestorePlan[]): RestorePlan {
  const restored = new Map<string, PlannedNamespace>()
  for (const one of plans.flatMap(({ namespaces }) => namespaces)) restored.set(one.ns, both(restored.get(one.ns), one))
  const dropped = new Map<string, DroppedNamespace>()
  for (const one of plans.flatMap((plan) => plan.dropped)) {
    const { documents = 0, bytes = 0 } = dropped.get(one.ns) ?? {}
    dropped.set(one.ns, { ...one, documents: documents + one.documents, bytes: bytes + one.bytes })
  }
  const [namespaces, gone] = [byName([...restored.values()]), byName([...dropped.values()])]
  return {
    namespaces,
    dropped: gone,
    totals: {
      restored: { ...tallied(plans.map(({ totals }) => totals.restored)), namespaces: namespaces.length },
      dropped: { ...tallied(plans.map(({ totals }) => totals.dropped)), namespaces: gone.length },
      staying: plans.reduce((sum, { totals }) => sum + totals.staying, 0),
    },
    objects: plans.flatMap(({ objects }) => objects),
    oplog: plans.flatMap(({ oplog }) => oplog),
    usersAndRoles: usersOf(plans.map(({ usersAndRoles }) => usersAndRoles)),
    gainedRoles: plans.flatMap(({ gainedRoles }) => gainedRoles),
    warnings: [...new Set(plans.flatMap(({ warnings }) => warnings))],
  }
}

function both(one: PlannedNamespace | undefined, other: PlannedNamespace): PlannedNamespace {
  if (one === undefined) return other
  // Where one shard's oplog creates what another has in the backup, its documents are not from the oplog alone.
  const { createdByOplog, ...known } = one.createdByOplog === true ? other : one
  const still = createdByOplog === true ? { createdByOplog } : {}
  return { ...known, ...still, documents: one.documents + other.documents, bytes: one.bytes + other.bytes }
}

function byName<T extends { readonly ns: string }>(of: T[]): T[] {
  return of.sort((a, b) => (a.ns < b.ns ? -1 : 1))
}

function tallied(of: readonly Tallied[]): Omit<Tallied, 'namespaces'> {
  const sum = (field: 'documents' | 'bytes') => of.reduce((total, one) => total + one[field], 0)
  return { documents: sum('documents'), bytes: sum('bytes') }
}

function usersOf(of: readonly RestorePlan['usersAndRoles'][]): RestorePlan['usersAndRoles'] {
  if (of.includes('all')) return 'all'
  const databases = new Set(of.flatMap((one) => (typeof one === 'string' ? [] : one)))
  return databases.size === 0 ? 'none' : [...databases]
}
