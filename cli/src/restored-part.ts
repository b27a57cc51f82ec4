import type { RestoreDocument } from '@pbmkit/core'

/** What of a backup a restore is about, in few words: `shop.* as shop_friday.*`; undefined for all of it. */
export function restoredPartText({ nss, selection }: Pick<RestoreDocument, 'nss' | 'selection'>): string | undefined {
  if (nss === undefined || nss.length === 0) return undefined
  const { pairs, keepExisting, query, usersAndRoles } = selection ?? {}
  const what = pairs === undefined ? nss.join(', ') : pairs.map(({ from, to }) => `${from} as ${to}`).join(', ')
  const how = [
    ...(usersAndRoles === true ? ['with users and roles'] : []),
    ...(keepExisting === true ? ['only what was missing'] : []),
    ...(query === undefined ? [] : [`matching ${query}`]),
  ]
  return [what, ...how].join('; ')
}

/** For a line among others, in characters. */
const MOST_CHARACTERS = 60

/** The text for a table; `describe-restore` and JSON have all of it. */
export function shortened(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`
}

/** How many documents were put where others may be; undefined for restores that put none there. */
export function mergedText({
  replsets,
}: {
  readonly replsets: readonly Pick<RestoreDocument['replsets'][number], 'merged'>[]
}): string | undefined {
  const sums = new Map<string, { inserted: number; existing: number; conflicts: number }>()
  for (const { ns, inserted, existing, conflicts } of replsets.flatMap((replset) => replset.merged ?? [])) {
    const sum = sums.get(ns) ?? { inserted: 0, existing: 0, conflicts: 0 }
    sum.inserted += Number(inserted)
    sum.existing += Number(existing)
    sum.conflicts += Number(conflicts)
    sums.set(ns, sum)
  }
  if (sums.size === 0) return undefined
  const lines = [...sums].map(([ns, { inserted, existing, conflicts }]) => {
    const left = conflicts > 0 ? `, ${conflicts} left out for a unique index` : ''
    return `${ns}: ${inserted} documents put there, ${existing} were there${left}`
  })
  return lines.join('\n')
}
