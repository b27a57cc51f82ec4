import { PbmError } from '../errors.js'
import { checkEntry, checkedSelection, type Selection } from './selection.js'
import { STAGING_DATABASE } from './staging-name.js'

/** One namespace or whole database, and where it goes: `db.collection` twice, or `db.*` twice. */
export interface NamespacePair {
  readonly from: string
  readonly to: string
}

/** What a server takes for the name of a database; and bytes of a whole namespace. */
const DATABASE = /^[^/\\. "$\0]{1,63}$/
const MOST_BYTES = 255

/** Where what a restore takes goes, beside what is there. */
export class Renaming {
  readonly pairs: readonly NamespacePair[]
  readonly selection: Selection
  readonly #collections = new Map<string, string>()
  readonly #databases = new Map<string, string>()

  private constructor(pairs: readonly NamespacePair[], selection: Selection) {
    this.pairs = pairs
    this.selection = selection
    for (const { from, to } of pairs) {
      if (isWhole(from)) this.#databases.set(from.slice(0, -2), to.slice(0, -2))
      else this.#collections.set(from, to)
    }
  }

  /** Throws `NAMESPACE_INVALID`. */
  static of(pairs: readonly NamespacePair[]): Renaming {
    const selection = checkedSelection(pairs.map(({ from }) => from))
    if (selection === undefined) throw invalid('*.* has no other name', 'Name databases or collections.')
    if (selection.entries.length < pairs.length)
      throw invalid('one namespace is named twice: it can go to one place only')
    const targets = new Set<string>()
    for (const { from, to } of pairs) {
      checkTarget(to)
      if (isWhole(from) !== isWhole(to))
        throw invalid(`${from} can't become ${to}: a collection becomes a collection, a database a database`)
      if (from === to) throw invalid(`${to} is its own name`, 'Choose another one; --ns restores into its own place.')
      if (targets.has(to)) throw invalid(`${to} is the target of two`)
      targets.add(to)
    }
    return new Renaming(pairs, selection)
  }

  /** The name that what users know as `ns` is to have; undefined where that is not chosen. */
  to(ns: string): string | undefined {
    const named = this.#collections.get(ns)
    if (named !== undefined) return named
    const dot = ns.indexOf('.')
    const db = this.#databases.get(ns.slice(0, dot))
    return db === undefined ? undefined : `${db}${ns.slice(dot)}`
  }
}

function checkTarget(to: string): void {
  checkEntry(to)
  if (to === '*.*') throw invalid('*.* is no place')
  const db = to.slice(0, to.indexOf('.'))
  if (!DATABASE.test(db)) throw invalid(`${JSON.stringify(db)} can't be the name of a database`)
  if (STAGING_DATABASE.test(db))
    throw invalid(`${db} is a name for what restores put together: it would be dropped soon`)
  if (Buffer.byteLength(to) > MOST_BYTES) throw invalid(`${to} is longer than ${MOST_BYTES} bytes`)
  if (to.includes('\0') || to.slice(db.length + 1).includes('$'))
    throw invalid(`${to} can't be the name of a collection`)
}

function isWhole(entry: string): boolean {
  return entry.endsWith('.*')
}

function invalid(why: string, hint?: string): PbmError {
  return new PbmError('NAMESPACE_INVALID', why, hint === undefined ? {} : { hint })
}
