import { type MongoClient, MongoServerError } from 'mongodb'
import pLimit from 'p-limit'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { findDocument, findField, findString } from '../../bson/elements.js'
import { RawValue } from '../../mongo/raw-command.js'
import { elementsOf, isTrue } from '../../oplog/raw-fields.js'
import type { WantedIndexes } from '../../oplog/replay/index-catalog.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { mendDefinition } from './index-definition.js'
import { allOrFirstError } from './snapshot.js'
import type { TouchedCollections } from './touched.js'

/** Bytes of documents up to which keeping indexes right with each insert costs less than building them. */
const SMALL = 1024 * 1024
/** Commands under way at once: each takes the lock of its collection only. */
const WIDTH = 8
/** Of these the server lets documents in that it takes; all other kinds may refuse some of an older server. */
const NUMBERS: ReadonlySet<number> = new Set([0x01, 0x10, 0x12])

export interface EarlyIndexesOptions {
  readonly namespaces: readonly NamespaceMetadata[]
  /** By the oplog that will be replayed; undefined where nobody knows, so that none is made. */
  readonly touched: TouchedCollections | undefined
  readonly guard: DeadlineGuard
}

/** Names of indexes that are there, by namespace. */
export type EarlyIndexes = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Makes indexes of small collections while these are empty, which the server does at once: a build of each costs it a
 * hundred milliseconds and more, and waits for other members. Only where no document can be refused or lost for it: plain
 * keys, not unique, of collections that the oplog does not touch, whose documents the index has had all along. What can't be
 * made so is left for the builds at the end, which say why.
 */
export async function createEarlyIndexes(
  client: MongoClient,
  wanted: readonly WantedIndexes[],
  { namespaces, touched, guard }: EarlyIndexesOptions,
): Promise<EarlyIndexes> {
  const made = new Map<string, ReadonlySet<string>>()
  if (touched === undefined) return made
  const small = new Map(
    namespaces
      .filter((namespace) => namespace.type === 'collection' && namespace.size <= SMALL && !touched.has(namespace))
      .map(({ db, collection }) => [`${db}.${collection}`, { db, collection }]),
  )
  const limit = pLimit(WIDTH)
  await allOrFirstError(
    wanted.map(({ ns, specs }) =>
      limit(async () => {
        const plain = specs.filter(isPlain)
        const place = small.get(ns)
        if (place === undefined || plain.length === 0) return
        guard.throwIfStopped()
        const { db, collection } = place
        const command = { createIndexes: collection, indexes: RawValue.documents(plain), writeConcern: { w: 1 } }
        const isMade = await client
          .db(db)
          .command(command)
          .then(() => true, leftForLater)
        if (isMade) made.set(ns, new Set(plain.map((spec) => findString(spec, 'name') ?? '')))
      }),
    ),
    () => limit.clearQueue(),
  )
  return made
}

/** What is still to be built. */
export function withoutEarly(wanted: readonly WantedIndexes[], early: EarlyIndexes): WantedIndexes[] {
  return wanted.flatMap(({ ns, specs }) => {
    const made = early.get(ns)
    const left = specs.filter((spec) => made?.has(findString(spec, 'name') ?? '') !== true)
    return left.length === 0 ? [] : [{ ns, specs: left }]
  })
}

/** The TTL monitor must not delete what is being restored. */
function isPlain(spec: Buffer): boolean {
  if (isTrue(spec, 'unique') || isTrue(spec, 'prepareUnique') || findField(spec, 'expireAfterSeconds') !== undefined) {
    return false
  }
  const key = elementsOf(findDocument(spec, 'key') ?? Buffer.from([5, 0, 0, 0, 0]))
  const isDirection = ({ name, type }: { name: string; type: number }) => NUMBERS.has(type) && !name.includes('$**')
  return key.length > 0 && key.every(isDirection) && mendDefinition(spec).changes.length === 0
}

function leftForLater(error: unknown): false {
  if (error instanceof MongoServerError) return false
  throw error
}
