import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BSON, type Document } from 'bson'
import { Tally } from '../../archive/tally.js'
import { documentsIn } from '../../bson/documents.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { withChecksum } from '../../store/layout/backup-metadata.js'
import { encodeFileList, type ListedFile } from '../../store/layout/file-list.js'
import { forgedRoute, pick, value } from './forged-entries.support.js'
import type { Crafting, Mutation } from './mutations.support.js'

const INSTANTS = ['2031-02-01T00:00:00Z', 'x', '..', '\u001b[2J']
const STATES = ['starting', 'running', 'down', 'copyDone', 'done', 'partlyDone', 'error', 'hb', 'x']

/** What tells storages apart, marks of backups that begin, keys, and how physical restores have ended. */
export const forgeSmall: Mutation = async ({ random, folder, backup }) => {
  const state = pick(random, STATES)
  const restore = pick(random, INSTANTS.slice(0, 2))
  const name = pick(random, [
    ...['.pbm.init', '.pbmkit.storage', `.pbmkit.mark-${backup}`, `${backup}/pbmkit.keys/${'0'.repeat(32)}`],
    ...[`.pbm.restore/${restore}.json`, `.pbm.restore/${restore}/cluster.${state}`],
    ...[`.pbm.restore/${restore}/rs.rs0/rs.${state}`, `.pbm.restore/${restore}/rs.rs0/node.h:1.${state}`],
    ...[`pbmPitr/rs0/pbmkit.keys/20310101/${'a'.repeat(32)}`, `.pbm.restore/${restore}/rs.\u001b[2J/rs.hb`],
  ])
  const json = JSON.stringify({ name: value(random), status: state, replsets: value(random), error: value(random) })
  const text = pick(random, ['', 'x', '1:\u001b[31mred', '9'.repeat(400), json, '{'.repeat(100_000), '\u0000'])
  await mkdir(dirname(join(folder, name)), { recursive: true })
  await writeFile(join(folder, name), text)
  return { what: `write ${JSON.stringify(name)}: ${JSON.stringify(text.slice(0, 40))}`, isForged: true }
}

/** The routing tables of the dump, with checksums made anew. */
export const forgeRouting: Mutation = async (crafting) => {
  const { random, known, objectsOf } = crafting
  const objects = await objectsOf((object) =>
    /\/config\.(databases|collections|chunks|tags|settings|shards)\b/.test(object),
  )
  if (objects.length === 0) return undefined
  const forged = Array.from({ length: 1 + random(3) }, () => forgedRoute(random, known))
  const what: string[] = []
  for (const { table, document } of forged) {
    const object = objects.find((one) => one.includes(`/config.${table}`))
    const bytes = encoded(document)
    if (object === undefined || bytes === undefined) continue
    await rewriteDocuments(crafting, object, (documents) => {
      const at = random(documents.length + 1)
      if (random(3) === 0) documents.splice(at, 1 + random(2))
      else documents.splice(at, random(2), bytes)
      return documents
    })
    what.push(`${table} ${BSON.EJSON.stringify(document).slice(0, 120)}`)
  }
  return what.length === 0 ? undefined : { what: `forge routing: ${what.join(' ')}`, isForged: true }
}

function encoded(document: Document): Buffer | undefined {
  try {
    return Buffer.from(BSON.serialize(document))
  } catch {
    return undefined
  }
}

/** As somebody who knows the format, but has no key. */
async function rewriteDocuments(
  { folder, backup, compressionOf }: Crafting,
  object: string,
  change: (documents: Buffer[]) => Buffer[],
): Promise<void> {
  const compression = await compressionOf(object)
  const path = join(folder, object)
  const parts: Uint8Array[] = []
  for await (const part of compression.decompress(bodyOf(await readFile(path)))) parts.push(part)
  const bytes = Buffer.concat(change([...documentsIn(Buffer.concat(parts))]))
  const packed: Uint8Array[] = []
  for await (const part of compression.compress(bodyOf(bytes))) packed.push(part)
  const stored = Buffer.concat(packed)
  await writeFile(path, stored)
  const [, rs = '', ns = ''] = /^[^/]+\/([^/]+)\/(config\.[a-z]+)/.exec(object) ?? []
  const list = join(folder, backup, rs, 'metadata.json')
  const json = JSON.parse(await readFile(list, 'utf8')) as { namespaces: Document[] }
  const entry = json.namespaces.find(({ db, collection }) => `${db}.${collection}` === ns)
  if (entry === undefined) return
  entry.crc = { $numberLong: String(tallyOf(bytes).crc) }
  entry.size = { $numberLong: String(bytes.length) }
  if ('packed_crc' in entry) entry.packed_crc = { $numberLong: String(tallyOf(stored).crc) }
  if ('packed_size' in entry) entry.packed_size = { $numberLong: String(stored.length) }
  delete entry.documents
  await writeFile(list, JSON.stringify(json))
  await resum(folder, backup, `${backup}/${rs}/metadata.json`)
}

function tallyOf(bytes: Uint8Array): Tally {
  const tally = new Tally()
  tally.add(bytes)
  return tally
}

/** The record of a backup of ours has the checksum of the list, and its own. */
export async function resum(folder: string, backup: string, object: string): Promise<void> {
  const path = join(folder, `${backup}.pbm.json`)
  const record = JSON.parse(await readFile(path, 'utf8')) as {
    replsets?: { objects?: Document[] }[]
    checksum?: string
  }
  const tally = tallyOf(await readFile(join(folder, object)))
  for (const { objects = [] } of record.replsets ?? [])
    for (const one of objects) if (one.name === object) Object.assign(one, { size: tally.size, crc: tally.crcText() })
  const text = JSON.stringify(record, undefined, '\t')
  await writeFile(path, record.checksum === undefined ? text : withChecksum(text))
}

const ODD_PATHS = [
  ...[
    '../evil',
    '../../evil',
    '/etc/evil',
    'a/../../evil',
    '.ssh/authorized_keys',
    '.bashrc',
    'mongod.lock',
    'a\u0000b.wt',
  ],
  ...[
    'keyfile',
    'mongod.conf',
    '.pbmkit/restore-x.json',
    '.pbmkit-restore/old/x.wt',
    'journal/evil.so',
    'x/../y.wt',
    '',
  ],
  ...['WiredTiger.config', 'logs/evil.wt', './x.wt', 'x//y.wt', 'collection-0.wt/x.wt', 'a/b/c/d/e.wt', 'WiredTiger'],
]

/** The list of a physical backup, its checksum made anew. */
export function forgeFileList(read: (folder: string, object: string) => Promise<ListedFile[]>): Mutation {
  return async ({ random, folder, backup, objectsOf }) => {
    const [object] = await objectsOf((one) => one.startsWith(backup) && one.endsWith('/filelist.pbm'))
    if (object === undefined) return undefined
    const files: Record<string, unknown>[] = (await read(folder, object).catch(() => [])).map((one) => ({ ...one }))
    const at = random(files.length)
    const entry = files[at]
    if (entry === undefined) return undefined
    const key = pick(random, [
      'filename',
      'filename',
      'object',
      'offset',
      'length',
      'fileSize',
      'mode',
      'crc',
      'storedCrc',
    ])
    const numbers = [0, -1, -2, 1, 4096, 2 ** 31, 2 ** 52, 0o7777, 2 ** 53]
    const isText = ['filename', 'object'].includes(key)
    const now = isText ? pick(random, ODD_PATHS) : key.endsWith('rc') ? undefined : pick(random, numbers)
    const kind = random(4)
    if (kind === 0) files.push({ ...entry, [key]: now })
    else if (kind === 1) files.splice(at, 1)
    else files[at] = { ...entry, [key]: now }
    await writeFile(join(folder, object), encodeFileList(files as unknown as ListedFile[]))
    await resum(folder, backup, object)
    const how = ['one more with', 'without', 'changed', 'changed'][kind]
    return { what: `forge the files: ${how} ${String(entry.filename)} ${key} ${JSON.stringify(now)}`, isForged: true }
  }
}
