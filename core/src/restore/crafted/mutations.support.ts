import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Random } from '@pbmkit/conformance/testbed'
import { BSON, type Document, Timestamp } from 'bson'
import { documentsIn } from '../../bson/documents.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { withChecksum } from '../../store/layout/backup-metadata.js'
import { forgedEntry, type Known, pick, value } from './forged-entries.support.js'

/** A storage that is to be changed, as somebody does who can write to it and has no key. */
export interface Crafting {
  readonly random: Random
  readonly folder: string
  /** Of the backup that will be restored. */
  readonly backup: string
  readonly known: Known
  /** More ways than all storages have, each as often as it is there. */
  readonly more: readonly Mutation[]
  compressionOf(object: string): Promise<CompressionPlugin>
  /** Names that are there, sorted. */
  objectsOf(isWanted: (name: string) => boolean): Promise<string[]>
}

/** What was done; `isForged`: no checksum can tell, as it was made anew or never was. */
export interface Crafted {
  readonly what: string
  readonly isForged: boolean
}

export type Mutation = (crafting: Crafting) => Promise<Crafted | undefined>

/** One to three changes of a storage. */
export async function craft(crafting: Crafting): Promise<Crafted> {
  const done: Crafted[] = []
  const wanted = 1 + crafting.random(crafting.random(3) + 1)
  while (done.length < wanted) {
    // What another change has broken before can't be read for this one.
    const one = await pick(crafting.random, [...MUTATIONS, ...crafting.more])(crafting).catch((error: unknown) => ({
      what: `half a change: ${error}`,
      isForged: true,
    }))
    if (one !== undefined) done.push(one)
  }
  return { what: done.map(({ what }) => what).join('; '), isForged: done.some(({ isForged }) => isForged) }
}

/** All but those that begin with a dot. */
export async function objectsIn(folder: string, isWanted: (name: string) => boolean): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return files
    .map((file) => file.slice(folder.length + 1))
    .filter((name) => !name.startsWith('.pbm') && isWanted(name))
    .sort()
}

/** Mostly of the backup that will be restored. */
async function anyObject(
  crafting: Crafting,
  isWanted: (name: string) => boolean = () => true,
): Promise<string | undefined> {
  const { random, backup } = crafting
  const all = await crafting.objectsOf(isWanted)
  const own = all.filter((name) => name.startsWith(backup) || name.startsWith('pbmPitr'))
  const chosen = random(8) === 0 || own.length === 0 ? all : own
  return chosen[random(chosen.length)]
}

const isRecord = (name: string) => name.endsWith('.pbm.json')
const isList = (name: string) => name.endsWith('/metadata.json')
const isOplog = (name: string) => /\/oplog\/|\.oplog/.test(name)
/** Stock PBM has no checksums of these. */
const isUnsummed = (name: string) => isRecord(name) || /\/(metadata\.json|meta\.pbm)$/.test(name) || isOplog(name)

const swap: Mutation = async (crafting) => {
  const [one, other] = [await anyObject(crafting), await anyObject(crafting)]
  if (one === undefined || other === undefined) return undefined
  const [a, b] = [join(crafting.folder, one), join(crafting.folder, other)]
  const bytes = await readFile(a)
  await writeFile(a, await readFile(b))
  await writeFile(b, bytes)
  return { what: `swap ${one} and ${other}`, isForged: isRecord(one) && isRecord(other) }
}

const truncateOne: Mutation = async (crafting) => {
  const name = await anyObject(crafting)
  if (name === undefined) return undefined
  const bytes = await readFile(join(crafting.folder, name))
  const length = crafting.random(4) === 0 ? 0 : crafting.random(bytes.length)
  await writeFile(join(crafting.folder, name), bytes.subarray(0, length))
  return { what: `cut ${name} to ${length}`, isForged: false }
}

const flip: Mutation = async (crafting) => {
  const name = await anyObject(crafting)
  if (name === undefined) return undefined
  const bytes = await readFile(join(crafting.folder, name))
  const at = crafting.random(bytes.length)
  if (bytes.length === 0) return undefined
  bytes[at] = (bytes[at] ?? 0) ^ (1 << crafting.random(8))
  await writeFile(join(crafting.folder, name), bytes)
  return { what: `flip a bit of ${name} at ${at}`, isForged: isUnsummed(name) }
}

const remove: Mutation = async (crafting) => {
  const name = await anyObject(crafting)
  if (name === undefined) return undefined
  await rm(join(crafting.folder, name))
  return { what: `remove ${name}`, isForged: false }
}

const copyOver: Mutation = async (crafting) => {
  const [from, to] = [await anyObject(crafting), await anyObject(crafting)]
  if (from === undefined || to === undefined || from === to) return undefined
  await cp(join(crafting.folder, from), join(crafting.folder, to))
  return { what: `copy ${from} over ${to}`, isForged: isRecord(to) }
}

const ODD_FILES = [
  'x',
  'shop.orders',
  '\u001b[31mred',
  'ö\u0301\u202e',
  'metadata.json',
  '.nfs001',
  'a b',
  'x'.repeat(240),
  '%2e%2e%2f',
  "';--",
]
const plant: Mutation = async (crafting) => {
  const { random, folder, backup, known } = crafting
  const from = await anyObject(crafting)
  if (from === undefined) return undefined
  const rs = pick(random, known.isSharded ? ['s1', 'cfg'] : ['rs0'])
  const places = ['', `${backup}/`, `${backup}/${rs}/`, `${backup}/${rs}/oplog/`, `pbmPitr/${rs}/`, 'team/']
  const to = `${pick(random, places)}${pick(random, ODD_FILES)}${pick(random, ['', '.pbm.json', '.gz', '.zst'])}`
  await cp(join(folder, from), join(folder, to)).catch(() => undefined)
  return { what: `plant ${JSON.stringify(to)} from ${from}`, isForged: true }
}

const recompress: Mutation = async (crafting) => {
  const name = await anyObject(crafting, (object) => !isRecord(object) && !isList(object))
  if (name === undefined) return undefined
  const bytes = Buffer.concat(
    await gather((await crafting.compressionOf('x.gz')).compress(bodyOf(await readFile(join(crafting.folder, name))))),
  )
  await writeFile(join(crafting.folder, name), crafting.random(2) === 0 ? bytes : Buffer.concat([bytes, bytes]))
  return { what: `gzip ${name}`, isForged: false }
}

/** Of records and lists: any value becomes another, keys go, come and are doubled. */
const editJson: Mutation = async (crafting) => {
  const { random, folder, backup } = crafting
  const record = `${backup}.pbm.json`
  const name = random(3) > 0 ? record : await anyObject(crafting, (object) => isRecord(object) || isList(object))
  if (name === undefined) return undefined
  const text = await readFile(join(folder, name), 'utf8').catch(() => '')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  const edits = Array.from({ length: 1 + random(3) }, () => editOnce(random, json))
  const plain = JSON.stringify(json, undefined, '\t')
  const summed = random(3) > 0 && /"checksum": "[0-9a-f]{16}"\s*\}\s*$/.test(plain) ? withChecksum(plain) : plain
  await writeFile(
    join(folder, name),
    pick(random, [summed, summed, summed, `\ufeff${summed}`, summed.replaceAll('\n', '\r\n')]),
  )
  return { what: `edit ${name}: ${edits.join(', ')}`, isForged: true }
}

const TEXTS = [
  '',
  'rs0',
  'rs1',
  '../..',
  '2001-01-01T00:00:00Z',
  'none',
  'gzip',
  'zstd',
  's2',
  'done',
  'physical',
  '1.6.0',
  '2.3.0',
  '9999.0',
  'aes-gcm',
  'shop.orders',
  'admin.pbmConfig',
  'view',
  'timeseries',
]
function editOnce(random: Random, json: unknown): string {
  const places: [Record<string, unknown>, string, string][] = []
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return
    for (const [key, inner] of Object.entries(node)) {
      places.push([node as Record<string, unknown>, key, `${path}.${key}`])
      walk(inner, `${path}.${key}`)
    }
  }
  walk(json, '')
  const place = places[random(places.length)]
  if (place === undefined) return 'nothing'
  const [node, key, path] = place
  switch (random(6)) {
    case 0:
      delete node[key]
      return `without ${path}`
    case 1:
      node[`${key}x`] = node[key]
      return `${path} doubled`
    case 2:
      if (typeof node[key] === 'number')
        node[key] = pick(random, [0, -1, 1, 2 ** 31, 2 ** 53, 1e300, (node[key] as number) + 1])
      else node[key] = pick(random, TEXTS)
      return `${path} = ${String(node[key]).slice(0, 30)}`
    case 3:
      if (Array.isArray(node[key])) {
        const list = node[key] as unknown[]
        for (let count = pick(random, [1, 1, 1000]); count > 0; count--)
          list.push(structuredClone(list[random(list.length || 1)]))
        return `${path} longer`
      }
      if (typeof node[key] === 'string' && /^\{/.test(node[key])) return `${path}: ${editText(random, node, key)}`
      node[key] = [node[key]]
      return `${path} in a list`
    case 4:
      node[key] = pick(random, TEXTS)
      return `${path} = ${String(node[key])}`
    default:
      node[key] = JSON.parse(BSON.EJSON.stringify({ value: value(random) }, { relaxed: random(2) === 0 })).value
      return `${path} = something`
  }
}

/** Definitions of collections are JSON in JSON. */
function editText(random: Random, node: Record<string, unknown>, key: string): string {
  const inner: unknown = JSON.parse(String(node[key]))
  const edit = editOnce(random, inner)
  node[key] = JSON.stringify(inner)
  return edit
}

/** Entries of every kind go between the real ones, or take the place of some. */
const forgeOplog: Mutation = async (crafting) => {
  const { random, folder, known } = crafting
  const name = await anyObject(crafting, isOplog)
  if (name === undefined) return undefined
  const compression = await crafting.compressionOf(name)
  let entries: Buffer[]
  try {
    const bytes = Buffer.concat(await gather(compression.decompress(bodyOf(await readFile(join(folder, name))))))
    entries = [...documentsIn(bytes)]
  } catch {
    return undefined
  }
  const at = random(entries.length)
  const before = entries[at]
  if (before === undefined) return undefined
  const { ts } = BSON.deserialize(before) as { ts: Timestamp }
  const forged = Array.from({ length: 1 + random(4) }, () => forgedEntry(random, known))
  const bytes = forged.flatMap((entry) =>
    encoded({ ts: random(9) === 0 ? new Timestamp({ t: random(2 ** 31), i: 1 }) : ts, v: 2, ...entry }),
  )
  if (random(2) === 0) entries.splice(at + 1, 0, ...bytes)
  else entries.splice(at, 1 + random(3), ...bytes)
  await writeFile(join(folder, name), Buffer.concat(await gather(compression.compress(bodyOf(Buffer.concat(entries))))))
  return { what: `forge ${name}: ${forged.map(shown).join(' ')}`, isForged: true }
}

/** A chunk or a backup under another name. */
const renameOne: Mutation = async (crafting) => {
  const { random, folder } = crafting
  const name = await anyObject(crafting, (object) => isOplog(object) || isRecord(object))
  if (name === undefined) return undefined
  const to = name.replace(/\d(?=\D*$|-)/, (digit) => String((Number(digit) + 1 + random(8)) % 10))
  await mkdir(dirname(join(folder, to)), { recursive: true })
  await rename(join(folder, name), join(folder, to))
  return { what: `rename ${name} to ${to}`, isForged: isRecord(name) }
}

const dropMeta: Mutation = async (crafting) => {
  for (const name of await crafting.objectsOf((object) => object.endsWith('/meta.pbm')))
    await rm(join(crafting.folder, name), { force: true })
  const edited = await editJson(crafting)
  return { what: `no meta.pbm; ${edited?.what}`, isForged: true }
}

const MUTATIONS: readonly Mutation[] = [
  ...[swap, truncateOne, flip, flip, remove, copyOver, plant, recompress, renameOne, dropMeta],
  ...[editJson, editJson, editJson, forgeOplog, forgeOplog, forgeOplog, forgeOplog],
]

function encoded(document: Document): Buffer[] {
  try {
    return [Buffer.from(BSON.serialize(document))]
  } catch {
    return []
  }
}

function shown({ op, ns, o }: Document): string {
  return `${op} ${JSON.stringify(ns)} ${op === 'c' ? Object.keys((o as Document | undefined) ?? {})[0] : ''}`.trim()
}

async function gather(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return parts
}
