// Measures how long reading the largest records and lists that are not refused keeps everybody else waiting: the CPU time of
// this thread between two turns of the event loop, which no other load of the machine changes. Prints one line for each shape.
//
//   node scripts/longest-turns.mjs
//
// Run it after `npm run build`, with the Node.js of node_modules/.bin.
import { readMetadataJsonGently, writeMetaPbm } from '../core/dist/archive/metadata.js'
import { differenceOf } from '../core/dist/restore/verify/cross-check.js'
import { fromStorageJsonGently, withChecksum } from '../core/dist/store/layout/backup-metadata.js'
import { decodeFileList, encodeFileList } from '../core/dist/store/layout/file-list.js'

const MIB = 1024 * 1024
const LARGEST = 15.9 * MIB

function record(more) {
  const base = { name: 'b', type: 'logical', status: 'done', pbm_version: '2.15.0', compression: 's2', replsets: [] }
  return withChecksum(JSON.stringify({ ...base, ...more }, undefined, '\t'))
}
const many = (count, make) => Array.from({ length: Math.floor(count) }, (_, index) => make(index))
const files = (count) =>
  many(count, (n) => ({ filename: `collection-${n}-1234567890123456789.wt`, length: 0, fileSize: 4096 }))

const RECORDS = {
  'a text of 16 MB': record({ error: 'x'.repeat(LARGEST) }),
  'a text of 16 MB, all quotes': record({ error: '"'.repeat(LARGEST / 2.1) }),
  'a text of 16 MB, all control characters': record({ error: '\u0001'.repeat(LARGEST / 6.1) }),
  'a text of 16 MB, no ASCII': record({ error: '\u20ac'.repeat(LARGEST / 3.1) }),
  '16 MB of blanks': `${record({})}${' '.repeat(LARGEST)}`,
  '60,000 files': record({ replsets: [{ name: 'rs0', files: files(60_000) }] }),
  '240,000 namespaces': record({ nss: many(240_000, (n) => `shop.orders${n}`) }),
  '10,000 conditions': record({ conditions: many(60_000, (n) => ({ timestamp: n, status: 'running' })) }),
  'replica sets': record({ replsets: many(9_000, (n) => ({ name: `rs${n}` })) }),
  'keys that nobody knows': record(Object.fromEntries(many(240_000, (n) => [`k${n}`, 1]))),
  'a map of shards': record({ shardRemap: Object.fromEntries(many(240_000, (n) => [`k${n}`, 'x'])) }),
  'options of a storage': record({ store: { type: 'x', a: many(240_000, () => 1) } }),
}
const index = (n) => `{"v":{"$numberInt":"2"},"key":{"a${n}":{"$numberInt":"1"}},"name":"a${n}_1"}`
const list = (metadata, more = '') =>
  `{"namespaces":[{"db":"a","collection":"b","metadata":${JSON.stringify(metadata)},"type":"collection"${more}}]}`
const LISTS = {
  '100,000 namespaces': `{"namespaces":[${many(100_000, (n) => `{"db":"a","collection":"c${n}","metadata":"{\\"indexes\\":[]}","crc":{"$numberLong":"5"},"size":{"$numberLong":"7"}}`)}]}`,
  'a definition of 4 MB, many indexes': list(`{"indexes":[${many(50_000, index)}]}`),
  'a definition of 4 MB, one text': list(`{"options":{"a":"${'x'.repeat(4 * MIB - 100)}"},"indexes":[]}`),
  'a definition of 4 MB, many options': list(`{"options":{${many(300_000, (n) => `"k${n}":1`)}},"indexes":[]}`),
  'a checksum of 10,000,000 digits': list('{}', `,"crc":{"$numberLong":"${'9'.repeat(10_000_000)}"}`),
  'a number of 1,000,000 digits': list(`{"options":{"a":{"$numberLong":"${'9'.repeat(1_000_000)}"}},"indexes":[]}`),
  'a text of 60 MB': list('{}', `,"x":"${'x'.repeat(60 * MIB)}"`),
  'a text of 60 MB, all quotes': list('{}', `,"x":"${'\\"'.repeat(30 * MIB)}"`),
}

async function* inChunks(bytes) {
  for (let at = 0; at < bytes.length; at += 64 * 1024) yield bytes.subarray(at, at + 64 * 1024)
}
async function readFiles(bytes) {
  let count = 0
  for await (const _ of decodeFileList(inChunks(bytes))) count += 1
  return count
}
const entry = (n) => ({ filename: `collection-${n}.wt`, offset: 0, length: 0, fileSize: 9, mode: 384, storedSize: 9 })
const namespace = (n) => ({ db: 'a', collection: `c${n}`, type: 'collection', indexes: [], crc: 5n, size: 7 })
const files200 = encodeFileList(many(200_000, entry))
const large = encodeFileList([{ ...entry(1), object: 'x'.repeat(LARGEST) }])
const meta = writeMetaPbm({ serverVersion: '6.0.5', namespaces: many(130_000, namespace) }, '2.15.0', '6.0')
const BYTES = {
  'a list of 200,000 files': [() => readFiles(files200), files200.length],
  'an entry of 16 MB in a list of files': [() => readFiles(large), large.length],
  'a meta.pbm of 16 MB': [() => differenceOf([], meta), meta.length],
}

/** In ms: the longest CPU time of a turn while `work` runs, and what came of it. */
async function longestTurn(work) {
  let longest = 0
  let isOver = false
  let since = process.threadCpuUsage()
  const look = () => {
    const { user, system } = process.threadCpuUsage(since)
    longest = Math.max(longest, (user + system) / 1000)
    since = process.threadCpuUsage()
    if (!isOver) setImmediate(look)
  }
  const began = new Promise((resolve) => setImmediate(resolve))
  setImmediate(look)
  await began
  const outcome = await work().then(
    () => 'read',
    (error) => error.code ?? error.name,
  )
  await new Promise((resolve) => setImmediate(resolve))
  isOver = true
  return { longest: Math.round(longest), outcome }
}

const works = [
  ...Object.entries(RECORDS).map(([what, text]) => [`record: ${what}`, () => fromStorageJsonGently(text), text.length]),
  ...Object.entries(LISTS).map(([what, text]) => [`list: ${what}`, () => readMetadataJsonGently(text), text.length]),
  ...Object.entries(BYTES).map(([what, [work, length]]) => [what, work, length]),
]
const only = process.argv[2] ?? ''
for (const [what, work, length] of works) {
  if (!what.includes(only)) continue
  const { longest, outcome } = await longestTurn(work)
  console.log(`${String(longest).padStart(6)} ms  ${what} (${(length / MIB).toFixed(1)} MiB): ${outcome}`)
}
