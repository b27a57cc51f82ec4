import { editDistance } from '@pbmkit/core'

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
