import { Tally } from '../archive/tally.js'
import { type JsonValue, parseJsonGently } from '../bson/ordered-json.js'
import type { BackupDocument, BackupReplset } from '../control/backup-document.js'
import { isKeyObjectGone, isUnopened } from '../encryption/ciphers.js'
import { errorText } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { decodeFileList, fileObject, readEntry } from '../store/layout/file-list.js'
import { backupFolder, filelistName, namespaceFile, replsetFolder, suffixOfCompression } from '../store/layout/names.js'
import { FALLBACK_FOLDER } from '../store/layout/namespace-objects.js'
import { hasFilelistFile, isLegacyArchive, isLegacyBackupOplog } from '../store/layout/pbm-version.js'
import { readText } from '../store/layout/read-text.js'

/**
 * Whether everything a backup needs is on the storage and not empty (PBM: storage-format.md §2, Data check). Reads the
 * lists of names only, never the data: sizes and checksums are the restore's to verify.
 *
 * @returns what is missing, in words for people; empty when nothing is. Rejects only when the storage itself can't be
 *   listed or the signal aborts.
 */
export async function checkFiles(store: ObjectStore, backup: BackupDocument, options: CallOptions = {}) {
  if (backup.type === 'external') return []
  const sizes = new Sizes(store, options)
  await sizes.load(backupFolder(backup.name))
  const problems: string[] = []
  for (const replset of backup.replsets) {
    const found =
      backup.type === 'logical'
        ? await checkLogical(sizes, backup, replset)
        : backup.type === 'physical' || backup.type === 'incremental'
          ? await checkPhysical(sizes, backup, replset)
          : []
    problems.push(...found.map((problem) => `${replset.name}: ${problem}`))
  }
  if (!['logical', 'physical', 'incremental'].includes(backup.type)) {
    problems.push(`unknown backup type ${JSON.stringify(backup.type)}`)
  }
  return problems
}

async function checkLogical(sizes: Sizes, backup: BackupDocument, replset: BackupReplset): Promise<string[]> {
  const legacyArchive = isLegacyArchive(backup.pbm_version)
  const problems: string[] = []
  const dump = replset.dump_name ?? ''
  const oplog = replset.oplog_name ?? ''
  const dumpProblem = await sizes.problemOf(dump)
  if (dumpProblem !== undefined) problems.push(dumpProblem)
  if (isLegacyBackupOplog(backup.pbm_version)) {
    const oplogProblem = await sizes.problemOf(oplog)
    if (oplogProblem !== undefined) problems.push(oplogProblem)
  } else {
    problems.push(...(await sizes.problemsOfFolder(oplog)))
  }
  if (!legacyArchive && dumpProblem === undefined) problems.push(...(await checkNamespaces(sizes, backup, replset)))
  return problems
}

async function checkNamespaces(sizes: Sizes, backup: BackupDocument, replset: BackupReplset): Promise<string[]> {
  const list = replset.dump_name ?? ''
  let namespaces: ListedNamespace[]
  try {
    const text = await sizes.text(list)
    const known = replset.objects?.find(({ name }) => name === list)
    if (known !== undefined && known.crc !== checksumOf(text)) throw new Error('its checksum is wrong')
    namespaces = await listedNamespaces(text)
  } catch (error) {
    sizes.options.signal?.throwIfAborted()
    if (replset.encryption !== undefined && isUnopened(error) && !isKeyObjectGone(error))
      return sizes.problemsOfSealed(backup, replset)
    return [`${list} can't be read: ${errorText(error)}`]
  }
  const problems: string[] = []
  for (const namespace of namespaces) {
    if (namespace.size === 0) continue
    const natural = replsetFolder(backup.name, replset.name) + namespaceFile(namespace.db, namespace.collection)
    const problem = await sizes.problemOf(namespace.object ?? sizes.withSuffix(natural, backup.compression))
    if (problem !== undefined) problems.push(problem)
  }
  return problems
}

async function checkPhysical(sizes: Sizes, backup: BackupDocument, replset: BackupReplset): Promise<string[]> {
  const problems: string[] = []
  let files = 0
  try {
    const listed = hasFilelistFile(backup.pbm_version)
      ? decodeFileList(await sizes.read(filelistName(backup.name, replset.name)))
      : (replset.files ?? []).map(readEntry)
    for await (const file of listed) {
      files++
      // Unchanged since the backup this one builds on: no object.
      if (file.length < 0 || problems.length >= MOST_PROBLEMS) continue
      const object = (suffix: string) => fileObject(backup.name, replset.name, file, suffix)
      const { compression } = backup
      const isPart = file.length > 0
      const problem = await sizes.problemOf(
        isPart ? object(suffixOfCompression(compression) ?? '') : sizes.withSuffix(object(''), compression),
      )
      if (problem !== undefined) problems.push(problem)
    }
  } catch (error) {
    sizes.options.signal?.throwIfAborted()
    if (replset.encryption !== undefined && isUnopened(error) && !isKeyObjectGone(error))
      return sizes.problemsOfSealed(backup, replset)
    return [`the list of files can't be read: ${errorText(error)}`]
  }
  return files === 0 ? ['the list of files is empty'] : problems
}

/** Nobody reads more, and a list that names nothing but what is missing must not fill the memory. */
const MOST_PROBLEMS = 1000

function checksumOf(text: string): string {
  const tally = new Tally()
  tally.add(Buffer.from(text))
  return tally.crcText()
}

interface ListedNamespace {
  db: string
  collection: string
  size: number
  object?: string
}

/** What the check needs of `metadata.json`; numbers may be plain or canonical Extended JSON (PBM: storage-format.md §3). */
async function listedNamespaces(text: string): Promise<ListedNamespace[]> {
  const list = await parseJsonGently(text)
  const namespaces = list instanceof Map ? list.get('namespaces') : undefined
  if (!Array.isArray(namespaces)) throw new TypeError('it has no list of namespaces')
  return namespaces.map((entry) => {
    const namespace = entry instanceof Map ? entry : new Map<string, JsonValue>()
    const [size, object] = [namespace.get('size') ?? 0, namespace.get('object')]
    return {
      db: String(namespace.get('db')),
      collection: String(namespace.get('collection')),
      size: Number(size instanceof Map ? [...size.values()][0] : size),
      ...(typeof object === 'string' && { object }),
    }
  })
}

/** Sizes of a backup's objects: one listing of its folder, and single look-ups for what lies elsewhere. */
class Sizes {
  readonly #sizes = new Map<string, number>()
  readonly #store: ObjectStore
  readonly options: CallOptions
  #folder = ''

  constructor(store: ObjectStore, options: CallOptions) {
    this.#store = store
    this.options = options
  }

  async load(folder: string): Promise<void> {
    this.#folder = folder
    for await (const { name, size } of this.#store.list({ prefix: folder, ...this.options }))
      this.#sizes.set(name, size)
  }

  async problemOf(name: string): Promise<string | undefined> {
    if (name === '') return 'the name of an object is missing in the metadata'
    const size = this.#sizes.get(name) ?? (name.startsWith(this.#folder) ? undefined : await this.#stat(name))
    if (size === undefined) return `${name} is missing`
    return size === 0 ? `${name} is empty` : undefined
  }

  async #stat(name: string): Promise<number | undefined> {
    try {
      return (await this.#store.stat(name, this.options)).size
    } catch (error) {
      if (hasCode(error, 'STORAGE_EMPTY')) return 0
      if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_INVALID_NAME')) return undefined
      throw error
    }
  }

  async problemsOfFolder(folder: string): Promise<string[]> {
    if (folder === '') return ['the name of the oplog folder is missing in the metadata']
    const prefix = `${folder}/`
    if (!prefix.startsWith(this.#folder)) {
      for await (const { name, size } of this.#store.list({ prefix, ...this.options })) this.#sizes.set(name, size)
    }
    const chunks = [...this.#sizes].filter(([name]) => name.startsWith(prefix))
    if (chunks.length === 0) return [`${folder} holds no oplog`]
    return chunks.filter(([, size]) => size === 0).map(([name]) => `${name} is empty`)
  }

  /** A method PBM does not know has a suffix only its plugin knows; whatever is there then counts. */
  withSuffix(natural: string, compression: string): string {
    const suffix = suffixOfCompression(compression)
    if (suffix !== undefined) return natural + suffix
    for (const name of this.#sizes.keys())
      if (name.startsWith(`${natural}.`) && !name.slice(natural.length + 1).includes('.')) return name
    return natural
  }

  /** Without the key, the names are not to be had: the number of objects is. */
  problemsOfSealed(backup: BackupDocument, { name, encryption }: BackupReplset): string[] {
    const folder = `${replsetFolder(backup.name, name)}${FALLBACK_FOLDER}/`
    const objects = [...this.#sizes].filter(([object]) => object.startsWith(folder))
    const problems = objects.filter(([, size]) => size === 0).map(([object]) => `${object} is empty`)
    const wanted = encryption?.objects ?? 0
    if (objects.length < wanted) problems.push(`${folder} has ${objects.length} objects instead of ${wanted}`)
    return problems
  }

  text(name: string): Promise<string> {
    return readText(this.#store, name, this.options)
  }

  read(name: string) {
    return this.#store.read(name, this.options)
  }
}
