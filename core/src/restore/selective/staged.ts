import type { Renaming } from '../../control/renaming.js'
import type { ExistingNamespace } from '../../control/restore-document.js'
import { PbmError } from '../../errors.js'
import { isTrue } from '../../oplog/raw-fields.js'
import type { TargetCollection } from '../data/target.js'
import { type NamespaceKind, type Places, placesOf } from './plan.js'

/** What is put together under another name first, and taken from there. */
export interface Staged {
  /** Where its documents go. */
  readonly ns: string
  /** Its name at the restored time. */
  readonly from: string
  readonly kind: NamespaceKind
  /** The target has it: what is there stays as it is. */
  readonly exists: boolean
  /** It gets the indexes of the backup: where a restore that failed has made it, too. */
  readonly isIndexed: boolean
}

export interface StagedPlaces extends Places {
  /** By the name that it has meanwhile. */
  readonly staged: ReadonlyMap<string, Staged>
  /** Views that the target has and that stay. */
  readonly left: ReadonlySet<string>
}

export interface Staging {
  readonly database: string
  /** What the target has. */
  readonly existing: ReadonlyMap<string, ExistingNamespace>
  readonly renaming: Renaming | undefined
  readonly keepExisting: boolean
  /** Some of the documents only. */
  readonly isNarrowed: boolean
}

/**
 * What the target lacks goes to its own place at once; what it has, and what is narrowed to some documents, is staged. A view
 * has no documents: one that is there stays.
 */
export function stagedPlaces({ database, existing, renaming, keepExisting, isNarrowed }: Staging): StagedPlaces {
  const final = placesOf(renaming)
  const staged = new Map<string, Staged>()
  const names = new Map<string, string>()
  const left = new Set<string>()
  const place = (ns: string, kind: NamespaceKind): string | undefined => {
    const own = final.of(ns, kind)
    if (own === undefined) return undefined
    const exists = keepExisting && existing.has(own)
    if (kind === 'view') {
      if (exists) left.add(own)
      return exists ? undefined : own
    }
    if (!exists && !isNarrowed) return own
    const known = names.get(ns)
    if (known !== undefined) return known
    const name = `${database}.${staged.size}`
    names.set(ns, name)
    const isIndexed = !exists || existing.get(own)?.unfinished === true
    staged.set(name, { ns: own, from: ns, kind, exists, isIndexed })
    return name
  }
  return { of: place, sourceOf: (ns) => final.sourceOf(ns), isStaged: (name) => staged.has(name), staged, left }
}

/** Of a replica set, all that it has. */
export function existingOf(
  target: readonly TargetCollection[],
  unfinished: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): ReadonlyMap<string, ExistingNamespace> {
  const marked = (one: TargetCollection): ExistingNamespace => {
    const known = existingNamespace(one)
    const isUnfinished = one.uuid !== undefined && unfinished.get(known.ns)?.has(one.uuid) === true
    return isUnfinished ? { ...known, unfinished: true } : known
  }
  return new Map(target.map((one) => [`${one.db}.${one.name}`, marked(one)]))
}

export function existingNamespace({ db, name, type, options }: TargetCollection): ExistingNamespace {
  const known = type === 'view' || type === 'timeseries' ? type : 'collection'
  return { ns: `${db}.${name}`, type: known, ...(isTrue(options, 'capped') ? { capped: true } : {}) }
}

/** Throws `RESTORE_UNSUPPORTED` for what can't take documents in beside its own. */
export function refuseUnfit(
  staged: ReadonlyMap<string, Staged>,
  existing: ReadonlyMap<string, ExistingNamespace>,
): void {
  for (const { ns, kind, exists } of staged.values()) {
    const there = existing.get(ns)
    if (!exists || there === undefined) continue
    const what =
      there.type !== 'collection' || kind !== 'collection'
        ? `it is a ${there.type} there, and a ${kind} in the backup; only documents of collections have an _id to know them by`
        : there.capped === true
          ? 'it is capped there, and what is put back would push out what it has'
          : undefined
    if (what === undefined) continue
    throw new PbmError('RESTORE_UNSUPPORTED', `${ns} can't be restored into what is there: ${what}`, {
      hint:
        there.unfinished === true
          ? 'A restore that failed has made it: drop it if nobody else has written into it, and repeat the restore.'
          : 'Put it beside the live one, with --ns-from and --ns-to, and copy from there.',
    })
  }
}
