import { join } from 'node:path'
import type { MongoClient } from 'mongodb'
import { loadShapes, type Shape, shapes } from './data.js'
import type { Cost } from './measure.js'
import { type SystemPrograms, startSystem } from './system.js'

/** What an agent's memory is measured with. */
export interface Load {
  /** As many of the same size; `mixed` are those of the other parts, some with documents of 1 MB. */
  readonly collections: number | 'mixed'
  readonly megabytes: number
  /** Backups and restores by the same agent. What it keeps of each would show here. */
  readonly turns: number
}

export interface MemoryRow extends Load {
  readonly system: string
  readonly codec: string
  /** Peak resident memory in MB, the largest of all turns. */
  readonly backup: number
  readonly restore: number
}

const DOCUMENT_BYTES = 392
const MANY_TURNS = 20
/** So that the turns, not the data, are what is measured. */
const MIXED_MB = 100

/** One collection and twenty of the same data, then one that grows; last an agent that goes on. */
export function loads(megabytes: number, largest: number): Load[] {
  const sizes = [megabytes]
  for (let size = megabytes * 4; size <= largest; size *= 4) sizes.push(size)
  return [
    { collections: 20, megabytes, turns: 1 },
    ...sizes.map((size) => ({ collections: 1, megabytes: size, turns: 1 })),
    { collections: 'mixed', megabytes: MIXED_MB, turns: MANY_TURNS },
  ]
}

/** Peak memory of an agent started plainly that makes a backup and restores it, for each load and codec. */
export async function measureMemory(
  programs: SystemPrograms,
  client: MongoClient,
  uri: { readonly node: string; readonly cluster: string },
  folder: string,
  { loads, codecs, say }: { loads: readonly Load[]; codecs: readonly string[]; say: (text: string) => void },
): Promise<MemoryRow[]> {
  const rows: MemoryRow[] = []
  for (const load of loads) {
    await loadShapes(client, shapesOf(load))
    for (const codec of codecs) {
      const system = await startSystem(programs, client, uri, join(folder, programs.name))
      try {
        const backups: Cost[] = []
        const restores: Cost[] = []
        for (let turn = 0; turn < load.turns; turn++) {
          const { cost, name } = await system.backup(codec)
          backups.push(cost)
          restores.push(await system.restore(name))
        }
        const row = { ...load, system: programs.name, codec, backup: largest(backups), restore: largest(restores) }
        rows.push(row)
        say(`${row.system}, ${codec}, ${loadText(load)}: ${rssText(row)}`)
      } finally {
        await system.stop()
      }
    }
  }
  return rows
}

function largest(costs: readonly Cost[]): number {
  return Math.max(...costs.map(({ rss }) => rss))
}

function loadText({ collections, megabytes, turns }: Load): string {
  return `${megabytes} MB in collections: ${collections}, turns: ${turns}`
}

function rssText({ backup, restore }: MemoryRow): string {
  return `${backup.toFixed(0)} MB for the backup, ${restore.toFixed(0)} MB for the restore`
}

function shapesOf({ collections, megabytes }: Load): Shape[] {
  if (collections === 'mixed') return shapes(megabytes)
  const documents = Math.round((megabytes * 1e6) / collections / DOCUMENT_BYTES)
  return Array.from({ length: collections }, (_, index) => ({
    collection: `part${index}`,
    documents,
    bytes: DOCUMENT_BYTES,
  }))
}

export function memoryMarkdown(rows: readonly MemoryRow[]): string {
  const head = ['agent', 'codec', 'collections', 'MB of data', 'turns', 'backup, peak RSS MB', 'restore, peak RSS MB']
  const lines = rows.map(({ system, codec, collections, megabytes, turns, backup, restore }) =>
    [system, codec, collections, megabytes, turns, backup.toFixed(0), restore.toFixed(0)].map(String),
  )
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
