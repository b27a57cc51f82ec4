import type { Random } from '@pbmkit/conformance/testbed'
import type { Document } from 'mongodb'

/** What a member of the replica set is beside the first one, which can always be primary. */
const MEMBERS: Readonly<Record<string, Document>> = {
  plain: {},
  hidden: { hidden: true, priority: 0 },
  delayed: { hidden: true, priority: 0, secondaryDelaySecs: 5 },
  // With a vote it would be waited for by every index build: the server's own fault, which nobody survives.
  'without indexes': { hidden: true, priority: 0, votes: 0, buildIndexes: false },
  'priority 0': { priority: 0 },
  'without a vote': { priority: 0, votes: 0 },
}
const URI_OPTIONS = [
  '',
  // Alone it does not go with majority reads, and is refused.
  'w=1&readConcernLevel=local',
  'w=2',
  'w=2&wtimeoutMS=100',
  'w=majority',
  'maxPoolSize=1',
  'readPreference=secondary',
  'retryWrites=false',
  'readConcernLevel=local',
]
/** What is to be tried. */
export type ClusterKind = 'any' | 'replica-set' | 'sharded'

/** Of each replica set of a sharded cluster. Three members are nine servers. */
const SHARD_KINDS = [['plain'], ['plain'], ['plain', 'plain', 'plain']]
const COMPRESSIONS = ['none', 's2', 'gzip', 'zstd'] as const

/** A cluster as the seed has it. */
export interface Shape {
  /** Two shards and the config servers, all members alike; a third shard may come later. */
  readonly isSharded: boolean
  readonly kinds: readonly string[]
  readonly memberConfig: Readonly<Record<number, Document>>
  /** Of the agents' URI. */
  readonly uriOptions: string
  readonly compression: (typeof COMPRESSIONS)[number]
  readonly slices: boolean
  /** Of the file system that the storage is on. */
  readonly megabytes: number
}

export function randomShape(random: Random, kind: ClusterKind): Shape {
  const names = Object.keys(MEMBERS)
  const isSharded = kind === 'any' ? random(3) === 0 : kind === 'sharded'
  const kinds = isSharded ? pick(random, SHARD_KINDS) : ['plain', ...[1, 2].map(() => pick(random, names))]
  return {
    isSharded,
    kinds,
    memberConfig: Object.fromEntries(kinds.map((kind, index) => [index, MEMBERS[kind] ?? {}])),
    uriOptions: pick(random, URI_OPTIONS),
    compression: pick(random, COMPRESSIONS),
    slices: random(4) > 0,
    megabytes: 24 + random(40),
  }
}

/** Whether another than the first can be primary. */
export function hasSuccessor({ kinds }: Shape): boolean {
  return kinds.filter((kind) => kind === 'plain').length > 1
}

export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[random(values.length)]
  if (value === undefined) throw new RangeError('nothing to pick from')
  return value
}
