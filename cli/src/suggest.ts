/** The candidates most like `name`, best first, at most `limit`; none when nothing is close. */
export function suggest(name: string, candidates: readonly string[], limit = 3): string[] {
  const most = Math.max(2, Math.floor(name.length / 3))
  return candidates
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ distance, candidate }) => distance <= most || (name.length > 3 && candidate.startsWith(name)))
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? 1 : -1))
    .slice(0, limit)
    .map(({ candidate }) => candidate)
}

/** Levenshtein's distance: insertions, deletions and substitutions of one character. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
