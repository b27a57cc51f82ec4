import { awaitMajority, insertDocuments } from '@pbmkit/core'
import { Binary, BSON, Double, Int32 } from 'bson'
import type { MongoClient } from 'mongodb'

/** A collection of the data set: so many documents of about so many bytes. */
export interface Shape {
  readonly collection: string
  readonly documents: number
  readonly bytes: number
}

export const DATABASE = 'bench'
const BATCH_BYTES = 1024 * 1024
/** So many different documents; each is used again with its own number and a few bytes of its own. */
const VARIANTS = 500

/** Three shapes that share `megabytes` as 16 : 56 : 28 — many small, a million of middle size at 700 MB, few large. */
export function shapes(megabytes: number): Shape[] {
  const part = (share: number, bytes: number) => Math.max(1, Math.round((megabytes * 1e6 * share) / bytes))
  return [
    { collection: 'small', documents: part(0.16, 125), bytes: 125 },
    { collection: 'middle', documents: part(0.56, 392), bytes: 392 },
    { collection: 'large', documents: part(0.28, 1_000_000), bytes: 1_000_000 },
  ]
}

/** Fills the three collections and gives their bytes; the same data in each run. Two secondary indexes each. */
export async function load(client: MongoClient, megabytes: number): Promise<number> {
  return await loadShapes(client, shapes(megabytes))
}

/** Makes these the only collections of the database. */
export async function loadShapes(client: MongoClient, shapes: readonly Shape[]): Promise<number> {
  await client.db(DATABASE).dropDatabase()
  let total = 0
  for (const shape of shapes) {
    const collection = client.db(DATABASE).collection(shape.collection)
    const { bytes } = await insertDocuments(client, DATABASE, shape.collection, generate(shape), { inFlight: 4 })
    await collection.createIndexes([{ key: { group: 1 } }, { key: { amount: -1, group: 1 } }])
    total += bytes
  }
  await awaitMajority(client)
  return total
}

async function* generate({ documents, bytes }: Shape): AsyncGenerator<Buffer> {
  const random = generator(42)
  const variants = Array.from({ length: Math.min(VARIANTS, documents) }, () => variant(bytes, random))
  let parts: Buffer[] = []
  let held = 0
  for (let number = 0; number < documents; number++) {
    const document = Buffer.from(variants[number % variants.length] ?? variant(bytes, random))
    // `_id` is first: length, type, "_id\0", then its value.
    document.writeInt32LE(number, 9)
    parts.push(document)
    held += document.length
    if (held < BATCH_BYTES) continue
    yield Buffer.concat(parts)
    parts = []
    held = 0
  }
  yield Buffer.concat(parts)
}

const WORDS = 'lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor invidunt'.split(' ')

/** Half text, a sixth noise that no method compresses: about what records of people and things are. */
function variant(bytes: number, random: () => number): Uint8Array {
  const noise = Buffer.alloc(Math.max(8, Math.floor(bytes / 6)))
  for (let at = 0; at < noise.length; at++) noise[at] = Math.floor(random() * 256)
  const room = Math.max(8, bytes - noise.length - 80)
  const words: string[] = []
  for (let length = 0; length < room; ) {
    const word = WORDS[Math.floor(random() * WORDS.length)] ?? ''
    words.push(word)
    length += word.length + 1
  }
  return BSON.serialize({
    _id: new Int32(0),
    group: new Int32(Math.floor(random() * 1000)),
    amount: new Double(random() * 10_000),
    text: words.join(' ').slice(0, room),
    noise: new Binary(noise),
  })
}

/** mulberry32: the same numbers in each run. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
