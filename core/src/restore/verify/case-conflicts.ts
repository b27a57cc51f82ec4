import { PbmError } from '../../errors.js'

/**
 * Refuses a backup with a database whose name differs from one of the target only in upper and lower case: no server
 * holds both, and would say so only when the other databases are dropped already. Throws `DATABASE_CASE`.
 */
export function refuseOtherCase(target: Iterable<string>, restored: Iterable<string>): void {
  const clashes = clashesOf([...new Set(target)], new Set(restored))
  if (clashes.length === 0) return
  const told = clashes.map(({ theirs, ours }) => `${theirs} where the backup has ${ours}`).join(', ')
  throw new PbmError('DATABASE_CASE', `The target has the database ${told}: no server holds both`, {
    hint: `If it is no longer needed, drop ${clashes.map(({ theirs }) => theirs).join(', ')}; then restore again.`,
  })
}

/** Pure. Names of databases are compared by the server without regard to the case of ASCII letters only. */
export function clashesOf(
  target: readonly string[],
  restored: ReadonlySet<string>,
): { theirs: string; ours: string }[] {
  const byFolded = new Map([...restored].map((name) => [folded(name), name]))
  return target.flatMap((theirs) => {
    const ours = byFolded.get(folded(theirs))
    return ours === undefined || ours === theirs ? [] : [{ theirs, ours }]
  })
}

function folded(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
}
