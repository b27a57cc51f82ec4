import type { Renaming } from '../../control/renaming.js'
import { PbmError } from '../../errors.js'
import { isTrue } from '../../oplog/raw-fields.js'
import type { TargetCollection } from '../data/target.js'
import { type NamespaceKind, type Places, placesOf } from './plan.js'

/** What is put together under another name first, and taken from there. */
export interface Staged {
  /** Where its documents go. */
  readonly ns: string
  readonly kind: NamespaceKind
  /** The target has it: what is there stays as it is. */
  readonly exists: boolean
}

export interface StagedPlaces extends Places {
  /** By the name that it has meanwhile. */
  readonly staged: ReadonlyMap<string, Staged>
  /** Views that the target has and that stay. */
  readonly left: ReadonlySet<string>
}

export interface Staging {
  readonly database: string
  readonly target: readonly TargetCollection[]
  readonly renaming: Renaming | undefined
  readonly keepExisting: boolean
  /** Some of the documents only. */
  readonly isNarrowed: boolean
}

/**
 * What the target lacks goes to its own place at once; what it has, and what is narrowed to some documents, is staged. A view
 * has no documents: one that is there stays.
 */
export function stagedPlaces({ database, target, renaming, keepExisting, isNarrowed }: Staging): StagedPlaces {
  const there = new Set(target.map(({ db, name }) => `${db}.${name}`))
  const final = placesOf(renaming)
  const staged = new Map<string, Staged>()
  const names = new Map<string, string>()
  const left = new Set<string>()
  const place = (ns: string, kind: NamespaceKind): string | undefined => {
    const own = final.of(ns, kind)
    if (own === undefined) return undefined
    const exists = keepExisting && there.has(own)
    if (kind === 'view') {
      if (exists) left.add(own)
      return exists ? undefined : own
    }
    if (!exists && !isNarrowed) return own
    const known = names.get(ns)
    if (known !== undefined) return known
    const name = `${database}.${staged.size}`
    names.set(ns, name)
    staged.set(name, { ns: own, kind, exists })
    return name
  }
  return { of: place, sourceOf: (ns) => final.sourceOf(ns), staged, left }
}

/** Throws `RESTORE_UNSUPPORTED` for what can't take documents in beside its own. */
export function refuseUnfit(staged: ReadonlyMap<string, Staged>, target: readonly TargetCollection[]): void {
  const found = new Map(target.map((one) => [`${one.db}.${one.name}`, one]))
  for (const { ns, kind, exists } of staged.values()) {
    const there = found.get(ns)
    if (!exists || there === undefined) continue
    const what =
      there.type !== 'collection' || kind !== 'collection'
        ? `it is a ${there.type} there, and a ${kind} in the backup; only documents of collections have an _id to know them by`
        : isTrue(there.options, 'capped')
          ? 'it is capped there, and what is put back would push out what it has'
          : undefined
    if (what === undefined) continue
    throw new PbmError('RESTORE_UNSUPPORTED', `${ns} can't be restored into what is there: ${what}`, {
      hint: 'Put it beside the live one, with --ns-from and --ns-to, and copy from there.',
    })
  }
}
