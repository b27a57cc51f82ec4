import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MongoClient } from 'mongodb'
import type { Cost } from './measure.js'
import { pbmkit, startSystem } from './system.js'
import type { Row } from './table.js'

/** Public; what is sealed for it here is never opened. */
const RECIPIENT = 'age1h2xye6hfwhl0c8n7rd2mn97ndyw9dqyyyr903nxsfg8g5tjumqzqwncvhs'
const METHODS = ['none', 'aes-gcm', 'age'] as const
/** In turns, so that what else the machine does meets all alike; the best wall time and CPU of each count. */
const ROUNDS = 8

/** Sealed backups beside the same backup that is not sealed, by one agent. */
export async function measureSealing(
  client: MongoClient,
  uri: { readonly node: string; readonly cluster: string },
  folder: string,
  codecs: readonly string[],
  say: (text: string, cost: Cost) => void,
): Promise<Row[]> {
  await mkdir(folder, { recursive: true })
  const keyFile = join(folder, 'keys')
  await writeFile(keyFile, randomBytes(32).toString('base64'), { mode: 0o600 })
  const blocks = `  aes-gcm:\n    keyFile: ${keyFile}\n  age:\n    recipients: [${RECIPIENT}]\n`
  const config = `encryption:\n  type: none\n${blocks}`
  const system = await startSystem(pbmkit(), client, uri, join(folder, 'sealing'), { config })
  const rows: Row[] = []
  try {
    for (const codec of codecs) {
      const best = new Map<string, { cost: Cost; stored: number }>()
      for (let round = 0; round < ROUNDS; round++) {
        for (const method of METHODS) {
          await system.setConfig('encryption.type', method)
          const { cost, stored } = await system.backup(codec)
          say(`backup, ${codec}, sealed with ${method}`, cost)
          const before = best.get(method)
          best.set(method, { cost: before === undefined ? cost : bestOf(before.cost, cost), stored })
        }
      }
      const plain = best.get('none')
      if (plain !== undefined) rows.push({ what: 'backup in the clear', codec, ...plain })
      for (const [method, { cost, stored }] of best) {
        if (plain === undefined || method === 'none') continue
        rows.push({ what: `backup sealed with ${method}`, codec, cost, stored, beside: { name: 'unsealed', ...plain } })
      }
    }
  } finally {
    await system.stop()
  }
  return rows
}

function bestOf(one: Cost, other: Cost): Cost {
  const rss = Math.max(one.rss, other.rss)
  return { wall: Math.min(one.wall, other.wall), cpu: Math.min(one.cpu, other.cpu), rss }
}
