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
  'w=1',
  'w=2',
  'w=majority',
  'maxPoolSize=1',
  'readPreference=secondary',
  'retryWrites=false',
  'readConcernLevel=local',
]
const COMPRESSIONS = ['none', 's2', 'gzip', 'zstd'] as const

/** A cluster as the seed has it. */
export interface Shape {
  readonly kinds: readonly string[]
  readonly memberConfig: Readonly<Record<number, Document>>
  /** Of the agents' URI. */
  readonly uriOptions: string
  readonly compression: (typeof COMPRESSIONS)[number]
  readonly slices: boolean
  /** Of the file system that the storage is on. */
  readonly megabytes: number
}

export function randomShape(random: Random): Shape {
  const names = Object.keys(MEMBERS)
  const kinds = ['plain', ...[1, 2].map(() => pick(random, names))]
  return {
    kinds,
    memberConfig: Object.fromEntries(kinds.map((kind, index) => [index, MEMBERS[kind] ?? {}])),
    uriOptions: pick(random, URI_OPTIONS),
    compression: pick(random, COMPRESSIONS),
    slices: random(2) === 0,
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
