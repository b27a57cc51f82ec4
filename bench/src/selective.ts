import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { awaitMajority } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { DATABASE, loadShapes, shapes } from './data.js'
import { type Cost, runMeasured } from './measure.js'
import { pbmkit, type SystemPrograms, startSystem } from './system.js'

export interface SelectiveRow {
  readonly name: string
  readonly cost: Cost
  /** Megabytes that the agent has read, from the storage and the network; undefined where nobody counts them. */
  readonly read: number | undefined
}

export interface SelectiveBench {
  readonly client: MongoClient
  readonly uri: { readonly node: string; readonly cluster: string }
  readonly folder: string
  /** Of all data, and of the collection that is restored. */
  readonly megabytes: number
  readonly pbm: SystemPrograms | undefined
  readonly mongodump: string | undefined
  readonly mongorestore: string | undefined
}

const CHOSEN = { collection: 'chosen', documents: 25_500, bytes: 392 }
export const CHOSEN_MB = (CHOSEN.documents * CHOSEN.bytes) / 1e6
const CODEC = 's2'
const NS = `${DATABASE}.${CHOSEN.collection}`

/**
 * One collection out of a backup of many times its size. Fails where it is not what it was, and where pbmkit's agent reads more
 * than a few times the collection: then it has read other objects.
 */
export async function measureSelective(bench: SelectiveBench): Promise<SelectiveRow[]> {
  const { client, uri, folder, megabytes, mongodump, mongorestore } = bench
  await loadShapes(client, [...shapes(megabytes), CHOSEN])
  const hash = await hashOf(client)
  const rows: SelectiveRow[] = []
  const add = (row: SelectiveRow) => {
    rows.push(row)
    console.error(`… ${row.name}: ${row.cost.wall.toFixed(1)} s`)
  }
  const check = async (name: string) => {
    if ((await hashOf(client)) !== hash) throw new Error(`${name} did not restore ${NS} as it was`)
  }
  for (const programs of [pbmkit(), ...(bench.pbm === undefined ? [] : [bench.pbm])]) {
    const system = await startSystem(programs, client, uri, join(folder, `selective-${programs.name}`))
    try {
      const { name } = await system.backup(CODEC)
      await lose(client)
      const before = await readBytes(system.pid)
      const cost = await system.restore(name, ['--ns', NS])
      const read = (await readBytes(system.pid)) - before
      await check(programs.name)
      add({ name: programs.name, cost, read: read / 1e6 })
      if (programs.name === 'pbmkit' && read > 4e6 * CHOSEN_MB + 1e7) {
        throw new Error(`pbmkit read ${Math.round(read / 1e6)} MB for a collection of ${CHOSEN_MB.toFixed(0)} MB`)
      }
    } finally {
      await system.stop()
    }
  }
  if (mongodump !== undefined && mongorestore !== undefined) {
    const archive = `--archive=${join(folder, 'selective-archive')}`
    await runMeasured(mongodump, [`--uri=${uri.cluster}`, `--db=${DATABASE}`, archive])
    await lose(client)
    const cost = await runMeasured(mongorestore, [`--uri=${uri.cluster}`, '--drop', `--nsInclude=${NS}`, archive])
    await check('mongorestore')
    add({ name: 'mongorestore --nsInclude', cost, read: undefined })
  }
  await client.db(DATABASE).dropDatabase()
  return rows
}

async function lose(client: MongoClient): Promise<void> {
  await client.db(DATABASE).collection(CHOSEN.collection).deleteMany({})
  await awaitMajority(client)
}

async function hashOf(client: MongoClient): Promise<string> {
  const { collections } = await client.db(DATABASE).command({ dbHash: 1, collections: [CHOSEN.collection] })
  return collections[CHOSEN.collection]
}

/** By the kernel's count of what the process has read, from files and sockets. */
async function readBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/io`, 'utf8')
  return Number(/^rchar: (\d+)$/m.exec(text)?.[1] ?? 0)
}

export function selectiveMarkdown(rows: readonly SelectiveRow[], megabytes: number): string {
  const head = ['one collection', 'wall s', 'CPU s', 'peak RSS MB', 'read MB']
  const lines = rows.map(({ name, cost, read }) => [
    ...[name, cost.wall.toFixed(1), cost.cpu.toFixed(1), cost.rss.toFixed(0)],
    read === undefined ? '' : read.toFixed(0),
  ])
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return `${CHOSEN_MB.toFixed(0)} MB out of a backup of ${(megabytes + CHOSEN_MB).toFixed(0)} MB (${CODEC}).\n\n${table}\n`
}
