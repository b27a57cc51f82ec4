import { join } from 'node:path'
import type { MongoClient } from 'mongodb'
import { loadShapes, type Shape } from './data.js'
import type { Cost } from './measure.js'
import { type SystemPrograms, startSystem } from './system.js'

/** What an agent's memory is measured with: as many collections of the same size. */
export interface Load {
  readonly collections: number
  readonly megabytes: number
}

export interface MemoryRow extends Load {
  readonly system: string
  readonly codec: string
  readonly backup: Cost
  readonly restore: Cost
}

const DOCUMENT_BYTES = 392

/** One collection and twenty of the same data, then one that grows. */
export function loads(megabytes: number, largest: number): Load[] {
  const sizes = [megabytes]
  for (let size = megabytes * 4; size <= largest; size *= 4) sizes.push(size)
  return [{ collections: 20, megabytes }, ...sizes.map((size) => ({ collections: 1, megabytes: size }))]
}

/** Peak memory of an agent started plainly that makes one backup and restores it, for each load and codec. */
export async function measureMemory(
  programs: SystemPrograms,
  client: MongoClient,
  uri: { readonly node: string; readonly cluster: string },
  folder: string,
  { loads, codecs, say }: { loads: readonly Load[]; codecs: readonly string[]; say: (text: string) => void },
): Promise<MemoryRow[]> {
  const rows: MemoryRow[] = []
  for (const { collections, megabytes } of loads) {
    await loadShapes(client, shapesOf(collections, megabytes))
    for (const codec of codecs) {
      const system = await startSystem(programs, client, uri, join(folder, programs.name))
      try {
        const { cost: backup, name } = await system.backup(codec)
        const restore = await system.restore(name)
        rows.push({ system: programs.name, codec, collections, megabytes, backup, restore })
        say(`${programs.name}, ${codec}, ${collections} × ${megabytes / collections} MB: ${rssText(backup, restore)}`)
      } finally {
        await system.stop()
      }
    }
  }
  return rows
}

function rssText(backup: Cost, restore: Cost): string {
  return `${backup.rss.toFixed(0)} MB for the backup, ${restore.rss.toFixed(0)} MB for the restore`
}

function shapesOf(collections: number, megabytes: number): Shape[] {
  const documents = Math.round((megabytes * 1e6) / collections / DOCUMENT_BYTES)
  return Array.from({ length: collections }, (_, index) => ({
    collection: `part${index}`,
    documents,
    bytes: DOCUMENT_BYTES,
  }))
}

export function memoryMarkdown(rows: readonly MemoryRow[]): string {
  const head = ['agent', 'codec', 'collections', 'MB of data', 'backup, peak RSS MB', 'restore, peak RSS MB']
  const lines = rows.map(({ system, codec, collections, megabytes, backup, restore }) =>
    [system, codec, collections, megabytes, backup.rss.toFixed(0), restore.rss.toFixed(0)].map(String),
  )
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
