import { join } from 'node:path'
import type { MongoClient } from 'mongodb'
import { loadShapes } from './data.js'
import { pbmkit, startSystem } from './system.js'

const CODEC = 's2'
const DOCUMENT_BYTES = 392
const COLLECTIONS = [1, 3, 20] as const

interface Setting {
  readonly collections: number
  readonly workers: number
}

/** The first is the default, which the others are compared with. */
const SETTINGS: readonly Setting[] = [
  { collections: 4, workers: 3 },
  ...[1, 2, 4].map((workers) => ({ collections: 4, workers })),
  ...[1, 2, 8].map((collections) => ({ collections, workers: 3 })),
]

export interface ParallelRow extends Setting {
  /** Of the data. */
  readonly restored: number
  /** The middle of the ratios to the default in the same round. */
  readonly ratio: number
}

/** Restores the same data with so many collections, and insert commands for each, at a time. */
export async function measureParallel(
  client: MongoClient,
  uri: { readonly node: string; readonly cluster: string },
  folder: string,
  { megabytes, rounds, say }: { megabytes: number; rounds: number; say: (text: string) => void },
): Promise<ParallelRow[]> {
  const rows: ParallelRow[] = []
  for (const restored of COLLECTIONS) {
    const documents = Math.round((megabytes * 1e6) / restored / DOCUMENT_BYTES)
    const shape = { documents, bytes: DOCUMENT_BYTES }
    await loadShapes(
      client,
      Array.from({ length: restored }, (_, n) => ({ collection: `c${n}`, ...shape })),
    )
    const system = await startSystem(pbmkit(), client, uri, join(folder, 'parallel'))
    try {
      const { name } = await system.backup(CODEC)
      const ratios = new Map<Setting, number[]>(SETTINGS.map((setting) => [setting, []]))
      for (let round = 1; round <= rounds; round++) {
        let usual = 0
        for (const setting of SETTINGS) {
          const { wall } = await system.restore(name, [
            `--num-parallel-collections=${setting.collections}`,
            `--num-insertion-workers-per-collection=${setting.workers}`,
          ])
          usual ||= wall
          ratios.get(setting)?.push(wall / usual)
          say(`${restored} collections, ${text(setting)}: ${wall.toFixed(1)} s`)
        }
      }
      rows.push(...SETTINGS.map((setting) => ({ ...setting, restored, ratio: middle(ratios.get(setting) ?? []) })))
    } finally {
      await system.stop()
    }
  }
  return rows
}

function text({ collections, workers }: Setting): string {
  return `${collections} at a time, ${workers} workers`
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

export function parallelMarkdown(rows: readonly ParallelRow[]): string {
  const lines = SETTINGS.map((setting) => {
    const ratios = COLLECTIONS.map((restored) => {
      const row = rows.find((one) => one.restored === restored && text(one) === text(setting))
      return row === undefined ? '' : row.ratio.toFixed(2)
    })
    return `| ${[setting.collections, setting.workers, ...ratios].join(' | ')} |`
  })
  const head = COLLECTIONS.map((count) => `${count} ${count === 1 ? 'collection' : 'collections'}`)
  return [
    `| collections at a time | workers for each | ${head.join(' | ')} |`,
    `| ${['---', '---', ...head.map(() => '---')].join(' | ')} |`,
    ...lines,
  ].join('\n')
}
