export interface Candidates {
  /** Replica sets that nobody stores the oplog of. */
  readonly replsets: readonly string[]
  /** Those that slicing can go on from a full backup of, or begin without one. */
  readonly withBase: ReadonlySet<string>
  /** Agents that are well. */
  readonly fit: readonly { readonly rs: string; readonly n: string }[]
  /** Has just said that it can't begin with all that its shard ever did. */
  isRefused(node: string): boolean
}

export interface WithoutCandidate {
  /** No agent there is well. */
  readonly unwell: readonly string[]
  /** Added since the last full backup, and no agent there can begin without one. */
  readonly added: readonly string[]
}

/** Replica sets where an election would find nobody. It is the whole cluster's: it would stop all that slice, each time. Pure. */
export function withoutCandidate({ replsets, withBase, fit, isRefused }: Candidates): WithoutCandidate {
  const agentsOf = (rs: string) => fit.filter((agent) => agent.rs === rs)
  const unwell = replsets.filter((rs) => agentsOf(rs).length === 0)
  const added = replsets.filter(
    (rs) => !unwell.includes(rs) && !withBase.has(rs) && agentsOf(rs).every(({ n }) => isRefused(n)),
  )
  return { unwell, added }
}
