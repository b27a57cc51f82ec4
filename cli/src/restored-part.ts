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

/** How many documents were put where others may be; undefined for restores that put none there. */
export function mergedText({ replsets }: Pick<RestoreDocument, 'replsets'>): string | undefined {
  const merged = replsets.flatMap((replset) => replset.merged ?? [])
  if (merged.length === 0) return undefined
  const lines = merged.map(({ ns, inserted, existing, conflicts }) => {
    const left = Number(conflicts) > 0 ? `, ${conflicts} left out for a unique index` : ''
    return `${ns}: ${inserted} documents put there, ${existing} were there${left}`
  })
  return lines.join('\n')
}
