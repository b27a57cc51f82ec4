import type { Random } from '@pbmkit/conformance/testbed'
import { Binary, type Document, Long, MaxKey, MinKey, ObjectId, Timestamp, UUID } from 'bson'

/** One of them. */
export function pick<T>(random: Random, values: readonly T[]): T {
  const found = values[random(values.length)]
  if (found === undefined && values.length === 0) throw new Error('there is nothing to pick from')
  return found as T
}

function bytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)))
}

/** What a forger knows of the target: names and UUIDs of what a restore must not touch, and of what it may. */
export interface Known {
  readonly guarded: readonly { readonly ns: string; readonly uuid: UUID }[]
  readonly others: readonly { readonly ns: string; readonly uuid: UUID }[]
  readonly isSharded: boolean
}

const NAMES = ['shop.orders', 'shop.new', 'admin.evil', 'admin.pbmConfig', 'admin.system.version', 'admin.system.users']
const MORE_NAMES = [
  'admin.system.roles',
  'config.settings',
  'config.keep',
  'local.keep',
  'shop.system.views',
  'shop.$cmd',
]
const ODD_NAMES = [
  'admin.$cmd',
  'config.$cmd',
  '',
  '.',
  'admin',
  'shop.\u0000x',
  'shop.system.buckets.weather',
  'a b.c',
  '../x.y',
]
const VERBS = [
  'create',
  'drop',
  'dropDatabase',
  'createIndexes',
  'commitIndexBuild',
  'dropIndexes',
  'collMod',
  'emptycapped',
]
const MORE_VERBS = [
  'renameCollection',
  'convertToCapped',
  'applyOps',
  'abortTransaction',
  'commitTransaction',
  'godinsert',
]

/** One forged entry of the oplog, without its time: any kind, mostly with names and UUIDs that mean something. */
export function forgedEntry(random: Random, known: Known, depth = 0): Document {
  const kind = random(10)
  if (known.isSharded && random(3) === 0) return routingChange(random, known)
  if (kind < 4) return change(random, known)
  if (kind < 8 || depth > 2) return command(random, known)
  const inner = Array.from({ length: random(4) }, () => forgedEntry(random, known, depth + 1))
  const entry = { op: 'c', ns: 'admin.$cmd', o: { applyOps: inner } }
  return random(2) === 0 ? entry : { ...entry, ...session(random) }
}

export function session(random: Random): Document {
  const lsid = { id: new UUID(bytes(random, 16)), uid: new Binary(bytes(random, 32)) }
  const prevOpTime = { ts: Long.ZERO, t: Long.fromInt(-1) }
  return { lsid, txnNumber: Long.fromInt(random(9)), prevOpTime }
}

function change(random: Random, known: Known): Document {
  const op = pick(random, ['i', 'u', 'd', 'n', 'x', ''])
  const o = { ...(random(4) > 0 && { _id: id(random) }), value: value(random) }
  return { op, ns: name(random, known), ui: uuid(random, known), o, ...(random(2) > 0 && { o2: { _id: id(random) } }) }
}

function routingChange(random: Random, known: Known): Document {
  const { table, document } = forgedRoute(random, known)
  const op = pick(random, ['i', 'i', 'u', 'd'])
  const { _id } = document
  const ns = `config.${table}`
  if (op === 'd') return { op, ns, ui: uuid(random, known), o: { _id } }
  if (op === 'u')
    return { op, ns, ui: uuid(random, known), o2: { _id }, o: random(2) ? document : { $v: 2, diff: { u: document } } }
  return { op, ns, ui: uuid(random, known), o: document }
}

/** A document of the routing tables that no server has written; none has `elsewhere` as a database of the backup. */
export function forgedRoute(random: Random, known: Known): { readonly table: string; readonly document: Document } {
  const table = pick(random, ['databases', 'collections', 'chunks', 'tags', 'settings', 'shards'])
  const ns = random(4) === 0 ? name(random, known) : pick(random, ROUTED)
  const db = ns.split('.')[0]
  const shard = pick<unknown>(random, ['s1', 's2', 's2', 'cfg', 'config', '', value(random)])
  const version = { uuid: new UUID(bytes(random, 16)), timestamp: time(random), lastMod: 1 }
  const bounds = pick<[unknown, unknown]>(random, [
    [new MinKey(), new MaxKey()],
    [0, 10],
    [new MinKey(), 5],
    [7, 3],
    [value(random), null],
  ])
  const [min, max] = bounds.map((bound) => ({ _id: bound }))
  const shapes: Record<string, () => Document> = {
    databases: () => ({
      _id: pick(random, [db === 'elsewhere' ? 'bank' : db, 'bank', 'admin', 'config']),
      primary: shard,
      version,
    }),
    collections: () => ({
      ...{ _id: ns, lastmodEpoch: new ObjectId(), lastmod: new Date(), timestamp: time(random) },
      ...{ uuid: uuid(random, known), key: pick<unknown>(random, [{ _id: 1 }, { _id: 'hashed' }, {}, { $where: 1 }]) },
      ...{ unique: random(2) === 0, noBalance: false },
    }),
    chunks: () => ({
      ...{ _id: random(3) === 0 ? value(random) : new ObjectId(), uuid: uuid(random, known), min, max, shard },
      ...{ lastmod: time(random), history: pick<unknown>(random, [[{ validAfter: time(random), shard }], 1, []]) },
    }),
    tags: () => ({ _id: random(2) === 0 ? new ObjectId() : { ns, min }, ns, min, max, tag: 'zone' }),
    settings: () => ({
      _id: pick<unknown>(random, ['balancer', 'chunksize', 'automerge', { $gte: '' }, 1]),
      value: 1,
      mode: 'full',
    }),
    shards: () => ({ _id: shard, host: pick(random, ['s1/evil.example:1', 's2/', '', 7]), tags: ['zone'], state: 1 }),
  }
  const document = shapes[table]?.() ?? {}
  if (random(4) === 0) {
    const [key = '_id'] = Object.keys(document).slice(random(5))
    document[key] = value(random)
  }
  return { table, document }
}

const ROUTED = [
  'bank.accounts',
  'bank.other',
  'elsewhere.routed',
  'elsewhere.keep',
  'config.system.sessions',
  'side.new',
]

function time(random: Random): Timestamp {
  return new Timestamp({ t: random(2 ** 31), i: random(9) })
}

function command(random: Random, known: Known): Document {
  const verb = pick(random, [...VERBS, ...MORE_VERBS])
  const ns = name(random, known)
  const [db = ''] = ns.split('.')
  const target = random(5) === 0 ? value(random) : verb === 'renameCollection' ? ns : ns.slice(db.length + 1)
  const more = {
    to: name(random, known),
    ...(random(2) > 0 && { dropTarget: random(2) > 0 ? uuid(random, known) : value(random) }),
    ...{ index: 'x_1', name: 'x_1', key: { x: 1 }, indexes: [{ name: 'x_1', key: { x: 1 } }] },
  }
  const plain = verb === 'create' ? { idIndex: { v: 2, key: { _id: 1 }, name: '_id_' } } : more
  return { op: 'c', ns: `${db}.$cmd`, ui: uuid(random, known), o: { [verb]: target, ...plain } }
}

function name(random: Random, { guarded, others }: Known): string {
  const known = [...guarded, ...others].map(({ ns }) => ns)
  return pick(random, [...NAMES, ...NAMES, ...MORE_NAMES, ...ODD_NAMES, ...known])
}

function uuid(random: Random, { guarded, others }: Known): UUID | undefined {
  if (random(4) === 0) return undefined
  if (random(3) === 0) return new UUID('44444444-4444-4444-8444-444444444444')
  return [...guarded, ...others][random(guarded.length + others.length)]?.uuid
}

function id(random: Random): unknown {
  return pick<unknown>(random, [1, 'config', 'admin.pbmuser', 'admin.boss', { $gte: '' }, null, { a: { b: 1 } }, []])
}

/** Of any type and size that BSON has. */
export function value(random: Random): unknown {
  return pick<() => unknown>(random, [
    () => 1,
    () => -1,
    () => Number.MAX_VALUE,
    () => Long.MAX_VALUE,
    () => null,
    () => true,
    () => '',
    () => '../../etc/passwd',
    () => '\u001b[2J\u0000\u202e',
    () => 'x'.repeat(1 + random(200_000)),
    () => new Binary(bytes(random, 9)),
    () => nested(1 + random(150)),
    () => Array.from({ length: random(3000) }, (_, index) => ({ index })),
    () => ({ $where: 'sleep(1000)', __proto__x: 1, constructor: { prototype: 1 } }),
  ])()
}

function nested(depth: number): Document {
  let document: Document = {}
  for (let level = 0; level < depth; level++) document = { a: document }
  return document
}
