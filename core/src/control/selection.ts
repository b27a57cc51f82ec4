import { PbmError } from '../errors.js'
import { userName } from '../mongo/time-series.js'

/** Databases that hold the server's and PBM's own documents: a part of them means nothing elsewhere. */
const FORBIDDEN: ReadonlySet<string> = new Set(['admin', 'config', 'local'])
const EVERYTHING = '*.*'

/**
 * Which namespaces a selective backup or restore is about: one value, which everything that has to know asks. Entries
 * are `db.collection` or `db.*`; a time series is meant by the name users know, and its buckets come with it.
 */
export class Selection {
  /** As the command or the backup has it. */
  readonly entries: readonly string[]
  /** Those selected as a whole: `db.*`. */
  readonly databases: ReadonlySet<string>
  readonly #namespaces: ReadonlySet<string>

  private constructor(entries: readonly string[]) {
    const isWhole = (entry: string) => entry.endsWith('.*')
    this.entries = entries
    this.databases = new Set(entries.filter(isWhole).map((entry) => entry.slice(0, -2)))
    this.#namespaces = new Set(entries.filter((entry) => !isWhole(entry)))
  }

  /** Undefined where everything is meant: no entries, or `*.*` among them. */
  static of(entries: readonly string[] | undefined): Selection | undefined {
    if (entries === undefined || entries.length === 0 || entries.includes(EVERYTHING)) return undefined
    return new Selection(entries)
  }

  /** The collections named one by one. */
  get namespaces(): ReadonlySet<string> {
    return this.#namespaces
  }

  /** `ns` is a collection, a view or the buckets of a time series. */
  has(ns: string): boolean {
    return this.databases.has(ns.slice(0, ns.indexOf('.'))) || this.#namespaces.has(userName(ns))
  }

  /** The entries of `other` that are not within this one. */
  lacks(other: Selection): string[] {
    return other.entries.filter((entry) =>
      entry.endsWith('.*') ? !this.databases.has(entry.slice(0, -2)) : !this.has(entry),
    )
  }
}

/**
 * Checks what somebody asked for (PBM: selective.md §1), and leaves out what is there twice. Throws `NAMESPACE_INVALID`.
 * Undefined where everything is meant.
 */
export function checkedSelection(entries: readonly string[], usersAndRoles = false): Selection | undefined {
  const unique = [...new Set(entries)]
  if (unique.length === 0 || (unique.length === 1 && unique[0] === EVERYTHING)) {
    if (usersAndRoles) throw invalid('users and roles go only with chosen databases', 'A full one always has them.')
    return undefined
  }
  for (const entry of unique) checkEntry(entry)
  const selection = Selection.of(unique)
  if (selection === undefined) throw invalid('*.* stands for everything, so nothing else goes with it')
  for (const ns of selection.namespaces) {
    const db = ns.slice(0, ns.indexOf('.'))
    if (selection.databases.has(db)) throw invalid(`${db}.* has ${ns} already`, 'Leave out one of the two.')
  }
  if (usersAndRoles && selection.namespaces.size > 0) {
    throw invalid('users and roles belong to whole databases', 'Choose db.*, or leave users and roles out.')
  }
  return selection
}

/** Throws `NAMESPACE_INVALID`. */
export function checkEntry(entry: string): void {
  if (entry === EVERYTHING) return
  const dot = entry.indexOf('.')
  const [db, collection] = [entry.slice(0, Math.max(0, dot)), entry.slice(dot + 1)]
  const shown = JSON.stringify(entry)
  if (db === '' || collection === '') throw invalid(`${shown} is no namespace`, 'Write db.collection, or db.*')
  if (db.includes('*') || (collection.includes('*') && collection !== '*')) {
    throw invalid(`${shown}: * stands only for all collections of a database`, 'Write db.collection, or db.*')
  }
  if (FORBIDDEN.has(db)) throw invalid(`${shown}: nothing of the database ${db} can be chosen`)
  if (collection.startsWith('system.')) {
    throw invalid(`${shown}: system collections can't be chosen`, 'A time series is chosen by its own name.')
  }
}

function invalid(why: string, hint?: string): PbmError {
  return new PbmError('NAMESPACE_INVALID', why, hint === undefined ? {} : { hint })
}
