import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BSON, type Document, Timestamp } from 'bson'
import { documentsIn } from '../../bson/documents.js'

/** Puts entries into the oplog of an uncompressed backup, at its second one, as somebody with access to the storage can. */
export async function forgeOplog(folder: string, operations: readonly Document[]): Promise<void> {
  const [piece] = await readdir(join(folder, 'oplog'))
  const file = join(folder, 'oplog', piece ?? '')
  const [first, ...rest] = [...documentsIn(await readFile(file))]
  if (first === undefined) throw new Error('the oplog of the fixture is empty')
  const { ts } = BSON.deserialize(first) as { ts: Timestamp }
  const forged = operations.map((operation, index) => {
    const at = new Timestamp({ t: ts.getHighBitsUnsigned(), i: ts.getLowBitsUnsigned() + 1 + index })
    return Buffer.from(BSON.serialize({ ts: at, v: 2, ...operation }))
  })
  const next = rest.find((entry) => (BSON.deserialize(entry) as { ts: Timestamp }).ts.greaterThan(lastOf(forged)))
  const kept = next === undefined ? [] : rest.slice(rest.indexOf(next))
  await writeFile(file, Buffer.concat([first, ...forged, ...kept]))
}

/** Changes `metadata.json`: `namespaces` are its entries, `metadata` the text of each one's definition. `meta.pbm` goes. */
export async function forgeList(folder: string, change: (namespaces: Document[]) => void): Promise<void> {
  await rm(join(folder, 'meta.pbm'))
  await changeList(folder, change)
}

export async function changeList(folder: string, change: (namespaces: Document[]) => void): Promise<void> {
  const file = join(folder, 'metadata.json')
  const list = JSON.parse(await readFile(file, 'utf8')) as { namespaces: Document[] }
  change(list.namespaces)
  await writeFile(file, JSON.stringify(list))
}

function lastOf(entries: readonly Buffer[]): Timestamp {
  return (BSON.deserialize(entries.at(-1) ?? Buffer.alloc(0)) as { ts: Timestamp }).ts
}
