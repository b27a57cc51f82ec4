/** A random wait before try number `attempt` (from 1 on), in milliseconds: agents that failed together come back apart. */
export function jittered(attempt: number, base: number, least: number, most: number): number {
  const highest = Math.min(most, base * 2 ** Math.min(attempt, 30))
  return Math.max(least, Math.random() * highest)
}
