import { isSafeSegment, METADATA_SUFFIX, namespaceFile, replsetFolder } from './names.js'

/** Folder, inside a replica set's, of the namespaces whose natural name can't be an object name. */
export const FALLBACK_FOLDER = 'pbmkit.namespaces'

/** Objects of a replica set's folder that a collection's name must not replace (`oplog` is a folder). */
const RESERVED = ['metadata.json', 'meta.pbm', 'filelist.pbm', 'oplog', FALLBACK_FOLDER]
/** The bound every storage plugin promises to keep, in UTF-8 bytes. */
const MAX_NAME_BYTES = 1024
/** Filesystem storages write `<name>.tmp` first. */
const TEMPORARY_SUFFIX = '.tmp'

export interface NamespaceId {
  readonly db: string
  readonly collection: string
}

export interface NamespaceObject extends NamespaceId {
  readonly object: string
  /** The natural name was unusable: `metadata.json` must name the object, and PBM can't restore the namespace. */
  readonly fallback: boolean
}

/**
 * Gives each namespace of one replica set its object. PBM escapes nothing, so a collection's name may be a path trick,
 * be too long for the storage, or fall onto another object, as `A` onto `a` where case is not told apart; such a one gets `pbmkit.namespaces/<n><suffix>` instead.
 * The result keeps the order of `namespaces`, and every object is distinct and no folder of another.
 */
export function planNamespaceObjects(options: {
  readonly backup: string
  readonly replset: string
  readonly suffix: string
  readonly namespaces: readonly NamespaceId[]
  /** `capabilities.maxSegmentBytes` of the storage. */
  readonly maxSegmentBytes?: number | undefined
  /** The storage takes names that differ in upper and lower case only for one. */
  readonly ignoresCase?: boolean | undefined
  /** Every namespace gets a number: its name must not be seen from outside. */
  readonly hidden?: boolean | undefined
}): NamespaceObject[] {
  const { backup, replset, suffix, namespaces, maxSegmentBytes, ignoresCase = false, hidden = false } = options
  const folder = replsetFolder(backup, replset)
  const taken = new NameTree(RESERVED, ignoresCase ? foldedName : (name) => name)
  let fallbacks = 0
  return namespaces.map(({ db, collection }) => {
    const file = namespaceFile(db, collection)
    const natural = `${file}${suffix}`
    // PBM cleans the path in some places before and in others after the suffix: both forms have to be safe.
    const usable =
      !hidden &&
      file.split('/').every(isSafeSegment) &&
      isUsable(natural, folder, maxSegmentBytes) &&
      taken.add(natural)
    if (usable) return { db, collection, object: `${folder}${natural}`, fallback: false }
    fallbacks += 1
    return { db, collection, object: `${folder}${FALLBACK_FOLDER}/${fallbacks}${suffix}`, fallback: true }
  })
}

function isUsable(file: string, folder: string, maxSegmentBytes: number | undefined): boolean {
  if (file.includes('\0') || !file.isWellFormed()) return false
  if (Buffer.byteLength(folder + file) + TEMPORARY_SUFFIX.length > MAX_NAME_BYTES) return false
  const longest = (maxSegmentBytes ?? MAX_NAME_BYTES) - TEMPORARY_SUFFIX.length
  if (!file.split('/').every((segment) => isSafeSegment(segment) && Buffer.byteLength(segment) <= longest)) return false
  // Listings take these for an unfinished upload, a part of a split object, and the metadata of a backup.
  return !/\.tmp$|\.pbmpart\.\d+$/.test(file) && !file.endsWith(METADATA_SUFFIX)
}

/** File names that can stand side by side in a file system: no name twice, none that is a folder of another. */
class NameTree {
  readonly #files = new Set<string>()
  readonly #folders = new Set<string>()

  /** Gives names that can't stand side by side the same text. */
  readonly #keyOf: (name: string) => string

  constructor(reserved: readonly string[], keyOf: (name: string) => string) {
    this.#keyOf = keyOf
    for (const name of reserved) {
      this.#files.add(keyOf(name))
      this.#folders.add(keyOf(name))
    }
  }

  /** False, and nothing changes, when the name clashes. */
  add(file: string): boolean {
    const name = this.#keyOf(file)
    const parents = parentsOf(name)
    if (this.#files.has(name) || this.#folders.has(name)) return false
    if (parents.some((parent) => this.#files.has(parent))) return false
    this.#files.add(name)
    for (const parent of parents) this.#folders.add(parent)
    return true
  }
}

/** File systems fold case each in its own way, and those that do mostly forget Unicode forms too: rather too much. */
function foldedName(name: string): string {
  return name.normalize('NFKC').toUpperCase()
}

function parentsOf(name: string): string[] {
  const parents: string[] = []
  for (let slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1))
    parents.push(name.slice(0, slash))
  return parents
}
