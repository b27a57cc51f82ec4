import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fixturesFolder } from '../testbed/fixtures.js'

/** An object that PBM wrote. */
export interface PbmObject {
  /** Relative to the backup and replica set. */
  readonly name: string
  readonly path: string
  /** Bytes of its content, where the backup's metadata.json tells. */
  readonly size: number | undefined
  /** The same content in the uncompressed backup, where both have the same checksum in their metadata.json. */
  readonly plainPath: string | undefined
}

interface Namespace {
  readonly db: string
  readonly collection: string
  readonly crc: { readonly $numberLong: string }
  readonly size: { readonly $numberLong: string }
}

/** The backups of `pbm-codecs`: one of each codec, of the same data, made by PBM itself. */
function codecFolder(): string | undefined {
  const fixtures = fixturesFolder()
  return fixtures === undefined ? undefined : join(fixtures, 'pbm-codecs', 'storage')
}

/** The objects named `*<suffix>` in PBM's backups; nothing where the fixtures are not at hand. */
export function pbmObjects(suffix: string): PbmObject[] {
  const storage = codecFolder()
  if (storage === undefined || !existsSync(storage)) return []
  const folders = readdirSync(storage)
    .map((name) => join(storage, name, 'rs0'))
    .filter((folder) => existsSync(folder))
  const plain = folders.find((folder) => existsSync(join(folder, 'shop.orders')))
  return folders.flatMap((folder) => objectsOf(folder, suffix, plain))
}

function objectsOf(folder: string, suffix: string, plain: string | undefined): PbmObject[] {
  const namespaces = namespacesOf(folder)
  const plainNamespaces = plain === undefined ? new Map<string, Namespace>() : namespacesOf(plain)
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  return files
    .filter((file) => file.isFile() && file.name.endsWith(suffix))
    .map((file) => {
      const path = join(file.parentPath, file.name)
      const name = path.slice(folder.length + 1)
      const namespace = namespaces.get(name.slice(0, -suffix.length))
      const same = namespace && plainNamespaces.get(`${namespace.db}.${namespace.collection}`)
      const comparable = same !== undefined && same.crc.$numberLong === namespace?.crc.$numberLong
      return {
        name: `${basename(join(folder, '..'))}/${name}`,
        path,
        size: namespace === undefined ? undefined : Number(namespace.size.$numberLong),
        plainPath: comparable && plain !== undefined ? join(plain, name.slice(0, -suffix.length)) : undefined,
      }
    })
}

function namespacesOf(folder: string): Map<string, Namespace> {
  const metadata: { namespaces: Namespace[] } = JSON.parse(readFileSync(join(folder, 'metadata.json'), 'utf8'))
  return new Map(metadata.namespaces.map((namespace) => [`${namespace.db}.${namespace.collection}`, namespace]))
}
