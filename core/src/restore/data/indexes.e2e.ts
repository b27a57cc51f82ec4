import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import type { Document, MongoClient } from 'mongodb'
import { raw } from '../../oplog/replay/oplog-entries.support.js'
import { deadlineGuard } from '../../time/deadline-guard.js'
import { RecordedLog } from '../restore.support.js'
import { createEarlyIndexes, withoutEarly } from './early-indexes.js'
import { buildIndexes } from './indexes.js'
import { TouchedCollections } from './touched.js'

describe('Indexes of a backup', () => {
  let set: ReplicaSet
  let client: MongoClient

  before(async () => {
    set = await startReplicaSet({ members: 3, memberConfig: { 2: { priority: 0 } } })
    client = await set.client()
  })
  after(() => set?.stop())

  async function build(wanted: Record<string, Document[]>, log = new RecordedLog(), commitQuorum?: string) {
    let built = 0
    const unbuilt = await buildIndexes(
      client,
      Object.entries(wanted).map(([ns, specs]) => ({ ns, specs: specs.map((spec) => raw({ v: 2, ...spec })) })),
      {
        ...{ guard: deadlineGuard(new AbortController().signal), log, commitQuorum },
        onBuilt: (indexes) => {
          built += indexes
        },
      },
    )
    return { unbuilt, log, built }
  }
  const namesOf = async (collection: string) =>
    (await client.db('old').collection(collection).indexes()).map(({ name }) => name).sort()

  it('that can not be built cost no other ones, and are named with their definition', async () => {
    const old = client.db('old')
    await old.collection('things').insertMany([{ a: 1 }, { a: 1, b: 2 }])
    await old.collection('others').insertMany([{ a: 1 }])
    const haystack = { key: { place: 'geoHaystack', kind: 1 }, name: 'hay', bucketSize: 1 }
    const { unbuilt } = await build({
      'old.things': [
        { key: { a: 1 }, name: 'a_1' },
        haystack,
        { key: { a: 1, c: 1 }, name: 'twice', unique: true },
        { key: { b: 1 }, name: 'b_1' },
        { key: { c: 'unheard of' }, name: 'kind' },
        { key: { d: 1 }, name: 'd_1' },
      ],
      'old.others': [{ key: { a: 1 }, name: 'a_1' }],
    })
    assert.deepEqual(await namesOf('things'), ['_id_', 'a_1', 'b_1', 'd_1'])
    assert.deepEqual(await namesOf('others'), ['_id_', 'a_1'])
    const words = [/"twice","unique":true.*E11000/, /"geoHaystack".*"hay"/, /"unheard of"/]
    assert.equal(unbuilt.length, words.length)
    for (const word of words) assert.ok(unbuilt.some((text) => text.startsWith('old.things {') && word.test(text)))
  })

  it('of small collections that the oplog leaves alone are there before the documents, if they refuse none', async () => {
    const db = client.db('early')
    const specs = [
      { key: { a: 1 }, name: 'a_1' },
      { key: { a: 1, b: -1 }, name: 'both', partialFilterExpression: { b: { $gt: 1 } } },
      { key: { a: 1, c: 1 }, name: 'twice', unique: true },
      { key: { c: 1 }, name: 'prepared', prepareUnique: true },
      { key: { t: 1 }, name: 'ttl', expireAfterSeconds: 1 },
      { key: { '$**': 1 }, name: 'wild' },
      { key: { d: 'text' }, name: 'text' },
      { key: { e: true }, name: 'old' },
    ].map((spec) => raw({ v: 2, ...spec }))
    const names = ['alone', 'changed', 'large', 'refused']
    for (const name of names) await db.createCollection(name)
    const unknown = { key: { f: 1 }, name: 'unknown', unheardOf: 1 }
    const namespaces = names.map((collection) => ({
      ...{ db: 'early', collection, collectionName: collection, type: 'collection' as const, indexes: [], crc: 0n },
      size: collection === 'large' ? 10 * 1024 * 1024 : 100,
    }))
    const touched = new TouchedCollections()
    touched.see({ op: 'u', ns: 'early.changed', ui: undefined, o: raw({}), o2: undefined })
    const wanted = namespaces.map(({ collection }) => ({
      ns: `early.${collection}`,
      specs: collection === 'refused' ? [raw(unknown), ...specs] : specs,
    }))
    const guard = deadlineGuard(new AbortController().signal)
    const early = await createEarlyIndexes(client, wanted, { namespaces, touched, guard })
    assert.deepEqual(
      [...early].map(([ns, made]) => [ns, ...made]),
      [['early.alone', 'a_1', 'both']],
    )
    for (const name of names) {
      const found = (await db.collection(name).indexes()).map((index) => index.name).sort()
      assert.deepEqual(found, name === 'alone' ? ['_id_', 'a_1', 'both'] : ['_id_'], name)
    }
    const left = withoutEarly(wanted, early).map((one) => [one.ns, one.specs.length])
    assert.deepEqual(left, [
      ['early.alone', 6],
      ['early.changed', 8],
      ['early.large', 8],
      ['early.refused', 9],
    ])
  })

  it('of old servers become what servers take now, where that is the same', async () => {
    await client.db('old').collection('legacy').insertOne({ a: 1 })
    const { unbuilt, log } = await build({
      'old.legacy': [
        { key: { a: true, b: '', c: 0 }, name: 'values' },
        { key: { d: 1 }, name: 'flags', sparse: 'yes', unique: null },
        ...[Number.NaN, 1e12, -1].map((expireAfterSeconds, at) => ({
          ...{ key: { [`t${at}`]: 1 }, name: `t${at}`, expireAfterSeconds },
        })),
        { key: { u: 1 }, name: 'no ttl', expireAfterSeconds: 'soon' },
        { key: { a: -1, t: 'text' }, name: 'valid', weights: { t: 1 } },
      ],
    })
    assert.deepEqual(unbuilt, [])
    const found = await client.db('old').collection('legacy').indexes()
    const named = (name: string) => found.find((index) => index.name === name)
    assert.deepEqual(named('values')?.key, { a: 1, b: 1, c: 1 })
    assert.deepEqual([named('flags')?.sparse, named('flags')?.unique], [true, undefined])
    for (const at of [0, 1, 2]) assert.equal(named(`t${at}`)?.expireAfterSeconds, 2_147_483_647)
    assert.equal(named('no ttl')?.expireAfterSeconds, undefined)
    assert.equal(log.lines.filter((line) => line.includes('is not valid as it was')).length, 6)
    assert.ok(log.lines.some((line) => /index t1 .*expireAfterSeconds is 1000000000000, now 2147483647/.test(line)))
  })

  it('do not wait for a member that goes down meanwhile, and say so', async () => {
    const lost = set.members[2]
    await client.db('old').collection('replicated').insertOne({ a: 1 })
    await lost?.kill()
    // Nobody has missed it yet.
    const { unbuilt, log } = await build({ 'old.replicated': [{ key: { a: 1 }, name: 'a_1' }] })
    assert.deepEqual([unbuilt, await namesOf('replicated')], [[], ['_id_', 'a_1']])
    assert.ok(log.lines.some((line) => line.includes(`${lost?.host}: indexes do not wait for it`)))
    const asked = new RecordedLog()
    await build({ 'old.replicated': [{ key: { b: 1 }, name: 'b_1' }] }, asked, 'majority')
    assert.deepEqual(asked.lines, [])
    const waiting = build({ 'old.replicated': [{ key: { c: 1 }, name: 'c_1' }] }, asked, 'votingMembers')
    while (asked.lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
    assert.match(asked.lines[0] ?? '', new RegExp(`before ${lost?.host} has built them, .*votingMembers`))
    await lost?.restart()
    assert.deepEqual((await waiting).unbuilt, [])
  })
})
