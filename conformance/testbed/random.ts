/** A small seeded generator (mulberry32): the same seed gives the same data on every machine. */
export interface Random {
  /** 0 <= x < 1 */
  next(): number
  /** An integer, 0 <= x < limit */
  below(limit: number): number
  pick<T>(values: readonly [T, ...T[]]): T
  bytes(length: number): Buffer
  /** Lower-case letters and spaces that compress about as well as text. */
  words(count: number): string
}

const WORDS = ['amber', 'bolt', 'cedar', 'drift', 'ember', 'fjord', 'grain', 'harbour', 'iris', 'jade'] as const

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  const pick = <T>(values: readonly [T, ...T[]]): T => values[below(values.length)] ?? values[0]
  return {
    next,
    below,
    pick,
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
    words: (count) => Array.from({ length: count }, () => pick(WORDS)).join(' '),
  }
}
