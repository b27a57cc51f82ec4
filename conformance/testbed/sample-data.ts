import { Double, Long, ObjectId, serialize, Timestamp } from 'bson'
import type { Db, Document, MongoClient } from 'mongodb'
import { type Random, seededRandom } from './random.js'
import { insertRaw } from './raw-documents.js'
import { typeDocuments } from './sample-types.js'
import { isAtLeast, serverVersion } from './server-version.js'

export interface SampleDataOptions {
  /** The same seed gives the same documents. Default 1. */
  readonly seed?: number
  /** 1 (default) makes about 1 MB; larger ones grow in proportion. */
  readonly scale?: number
  /** Add a document of the largest size a server takes (16 MB). Default false. */
  readonly largeDocument?: boolean
  /** Collection names that look like paths, metadata objects, or are as long as can be. Default true. */
  readonly oddNames?: boolean
}

const START = Date.UTC(2024, 0, 1)
const MINUTE = 60_000
/** Expiry that never comes in a test; a server takes none that reaches back before 1970. */
const FIFTY_YEARS_S = 1_500_000_000
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024

/** Names that meet trouble when they become names of files or objects. */
export const ODD_NAMES: readonly string[] = [
  'dot.ted é/slash',
  'a/../../b',
  'a/./b',
  'double//slash',
  'ends with slash/',
  'back\\slash',
  'percent%2Fencoded',
  'metadata.json',
  'meta.pbm',
  'oplog/x',
  'plain',
  'plain/below',
  'Case',
  'case',
  'quote"and\'star*?',
  'new\nline',
  '漢字 🎈',
  // 255 bytes with its database, the longest name a server takes.
  'n'.repeat(255 - 'odd.'.length),
]

/**
 * Fills a server with what is hard to bring back: every BSON type, views, time series, capped and clustered
 * collections, collations, validators, indexes of every kind, users and roles. Waits for a majority.
 * Databases made: `shop`, `types`, `bulk` and, unless turned off, `odd`. What an older server does not know is left out.
 */
export async function loadSampleData(client: MongoClient, options: SampleDataOptions = {}): Promise<void> {
  const version = await serverVersion(client)
  const random = seededRandom(options.seed ?? 1)
  const scale = options.scale ?? 1
  await loadShop(client.db('shop', MAJORITY), random, scale, version)
  await insertRaw(client.db('types'), 'all', typeDocuments())
  await loadBulk(client.db('bulk', MAJORITY), random, scale)
  if (options.largeDocument === true) await loadLargeDocument(client.db('bulk', MAJORITY))
  if (options.oddNames !== false) {
    const odd = client.db('odd', MAJORITY)
    for (const name of ODD_NAMES) await odd.collection<Document>(name).insertOne({ _id: name as never, in: 'odd' })
  }
  await createUsers(client)
}

const MAJORITY = { writeConcern: { w: 'majority' } } as const

async function loadShop(shop: Db, random: Random, scale: number, version: string): Promise<void> {
  const orders = shop.collection<Document>('orders')
  await orders.insertMany(Array.from({ length: Math.round(600 * scale) }, (_, index) => order(random, index)))
  await createOrderIndexes(shop, version)

  await shop.createCollection('capped', { capped: true, size: 65_536, max: 50 })
  await insertNumbered(shop, 'capped', 60, () => ({ note: random.words(4) }))
  if (isAtLeast(version, '6.0')) await loadClustered(shop, random)
  await shop.createCollection('empty')
  await shop.createCollection('fr', { collation: { locale: 'fr', strength: 2 } })
  await insertNumbered(shop, 'fr', 20, () => ({ word: random.pick(['côte', 'cote', 'coté', 'côté']) }))
  await shop.collection('fr').createIndex({ word: 1 }, { name: 'simple', collation: { locale: 'simple' } })
  await shop.createCollection('strict', {
    validator: { $jsonSchema: { required: ['n'] } },
    validationLevel: 'moderate',
    validationAction: 'error',
  })
  await shop.collection('strict').insertMany([{ n: 1 }, { n: Long.fromNumber(2) }])
  // A document that is older than the rule it breaks.
  await shop.collection('strict').insertOne({ old: true }, { bypassDocumentValidation: true })
  await shop.createCollection('packed', {
    storageEngine: { wiredTiger: { configString: 'block_compressor=zstd' } },
  })
  await insertNumbered(shop, 'packed', 5, () => ({ text: random.words(20) }))

  if (isAtLeast(version, '5.0')) await loadWeather(shop, random, scale)

  await shop.createCollection('recent', { viewOn: 'orders', pipeline: [{ $match: { _id: { $gte: 500 } } }] })
  // A view on a view that sorts before it, and one on a collection with the same collation.
  await shop.createCollection('newest', { viewOn: 'recent', pipeline: [{ $project: { who: 1 } }] })
  await shop.createCollection('frView', { viewOn: 'fr', pipeline: [], collation: { locale: 'fr', strength: 2 } })
}

async function loadClustered(shop: Db, random: Random): Promise<void> {
  await shop.createCollection('clustered', { clusteredIndex: { key: { _id: 1 }, unique: true } })
  await insertNumbered(shop, 'clustered', 30, () => ({ sum: random.next() }))
  await shop.createCollection('clusteredTtl', {
    clusteredIndex: { key: { _id: 1 }, unique: true, name: 'by time' },
    expireAfterSeconds: FIFTY_YEARS_S,
  })
  await shop.collection<Document>('clusteredTtl').insertOne({ _id: new Date(START) as never })
  await shop.createCollection('tracked', { changeStreamPreAndPostImages: { enabled: true } })
  await insertNumbered(shop, 'tracked', 5, () => ({ n: random.below(100) }))
}

async function loadWeather(shop: Db, random: Random, scale: number): Promise<void> {
  await shop.createCollection('weather', {
    timeseries: { timeField: 't', metaField: 'm', granularity: 'minutes' },
    expireAfterSeconds: FIFTY_YEARS_S,
  })
  await shop.collection('weather').insertMany(
    Array.from({ length: Math.round(200 * scale) }, (_, index) => ({
      t: new Date(START + index * MINUTE),
      m: { station: index % 3 },
      temperature: new Double(random.next() * 30),
    })),
  )
  await shop.collection('weather').createIndex({ 'm.station': 1, t: -1 }, { name: 'station_t' })
}

async function createOrderIndexes(shop: Db, version: string): Promise<void> {
  const indexes: Document[] = [
    { key: { who: 1, at: -1 }, name: 'who_at' },
    { key: { _id: 'hashed' }, name: 'hashed' },
    { key: { loc: '2dsphere' }, name: 'geo' },
    { key: { flat: '2d' }, name: 'flat', min: -500, max: 500, bits: 20 },
    { key: { text: 'text', who: 'text' }, name: 'txt', weights: { text: 5, who: 1 }, default_language: 'french' },
    { key: { at: 1 }, name: 'ttl', expireAfterSeconds: FIFTY_YEARS_S },
    { key: { 'lines.sku': 1 }, name: 'partial', partialFilterExpression: { who: { $gt: 'm' } } },
    { key: { code: 1 }, name: 'unique_sparse', unique: true, sparse: true },
    { key: { '$**': 1 }, name: 'wild', wildcardProjection: { 'extra.a': 1, 'extra.b': 1 } },
    { key: { 'extra.$**': 1 }, name: 'wild_below' },
    {
      key: { who: 1 },
      name: 'hid',
      hidden: true,
      collation: { locale: 'en', strength: 1 },
    },
    { key: { number: 1 }, name: 'prepared' },
    { key: { number: -1, code: 1 }, name: 'odd name é.$x', storageEngine: { wiredTiger: { configString: '' } } },
  ]
  await shop.command({ createIndexes: 'orders', indexes, writeConcern: { w: 'majority' } })
  if (isAtLeast(version, '6.0'))
    await shop.command({ collMod: 'orders', index: { name: 'prepared', prepareUnique: true } })
}

function order(random: Random, index: number): Document {
  return {
    _id: index as never,
    number: Long.fromNumber(1_000_000 + index),
    who: random.pick(['ann', 'bob', 'čeněk', 'zoé', 'Ann']),
    at: new Date(START + index * MINUTE),
    loc: { type: 'Point', coordinates: [random.next() * 360 - 180, random.next() * 180 - 90] },
    flat: [random.below(1000) - 500, random.below(1000) - 500],
    text: random.words(12),
    lines: Array.from({ length: random.below(4) }, () => ({ sku: `s${random.below(50)}`, price: random.next() * 100 })),
    extra: {
      a: random.below(10),
      b: random.pick<string | boolean | null>(['x', null, true]),
      c: { d: random.words(2) },
    },
    ...(index % 3 === 0 ? { code: `c${index}` } : {}),
    history: { changed: new Timestamp({ t: 0, i: 0 }) },
  }
}

async function insertNumbered(db: Db, name: string, count: number, body: (index: number) => Document): Promise<void> {
  const documents = Array.from({ length: count }, (_, index) => ({ _id: index as never, ...body(index) }))
  await db.collection<Document>(name).insertMany(documents)
}

/** Plain data of three sizes, to give a backup something to move. */
async function loadBulk(bulk: Db, random: Random, scale: number): Promise<void> {
  const shapes = [
    { name: 'small', count: 5_000, words: 2 },
    { name: 'middle', count: 500, words: 100 },
    { name: 'large', count: 4, words: 8_000 },
  ]
  for (const { name, count, words } of shapes) {
    let left = Math.max(1, Math.round(count * scale))
    for (let id = 0; left > 0; ) {
      const batch = Array.from({ length: Math.min(left, 5_000) }, () => ({
        _id: id++ as never,
        token: new ObjectId(random.bytes(12)),
        text: random.words(words),
      }))
      await bulk.collection<Document>(name).insertMany(batch, { ordered: false })
      left -= batch.length
    }
  }
}

async function loadLargeDocument(bulk: Db): Promise<void> {
  const empty = serialize({ _id: 'largest', filler: '' }).length
  await insertRaw(bulk, 'largest', [serialize({ _id: 'largest', filler: 'z'.repeat(MAX_DOCUMENT_BYTES - empty) })])
}

async function createUsers(client: MongoClient): Promise<void> {
  const shop = client.db('shop', MAJORITY)
  const resource = { db: 'shop', collection: 'orders' }
  await shop.command({ createRole: 'clerk', privileges: [{ resource, actions: ['find'] }], roles: [] })
  await shop.command({
    createRole: 'manager',
    privileges: [{ resource, actions: ['insert', 'update'] }],
    roles: ['clerk'],
    authenticationRestrictions: [{ clientSource: ['127.0.0.1', '10.0.0.0/8'] }],
  })
  await shop.command({
    createUser: 'ann',
    pwd: 'ann-s3cret',
    roles: ['clerk', { role: 'read', db: 'types' }],
    customData: { badge: 7 },
  })
  await shop.command({ createUser: 'old', pwd: 'old-s3cret', roles: ['manager'], mechanisms: ['SCRAM-SHA-1'] })
  await client.db('admin', MAJORITY).command({ createUser: 'auditor', pwd: 'audit0r', roles: ['readAnyDatabase'] })
}
