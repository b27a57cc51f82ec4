#!/usr/bin/env node
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { type ChaosCluster, startChaosCluster } from '../chaos/cluster.js'
import type { Shape } from '../chaos/shape.js'
import { type Cell, POINTS, strike } from './cell.js'
import { FAULTS } from './faults.js'
import { pageWith } from './page.js'

/** Three members, each of which may be primary; a disk that can be filled. */
const SHAPE: Shape = {
  ...{ isSharded: false, kinds: ['plain', 'plain', 'plain'], memberConfig: {}, uriOptions: '' },
  ...{ compression: 's2', slices: true, megabytes: 64 },
}
/** So that each state lasts. */
const BYTES_PER_SECOND = 2_000_000
const BULK_BYTES = 8_000_000

const { only, faults, seed, write } = new Command('faults')
  .description('Strikes each state of backups and restores with each fault, and tells how that ends.')
  .addOption(new Option('--only <operation>', 'both when left out').choices(['backup', 'restore']))
  .option('--faults <text>', 'those whose name has this text', '')
  .option('--seed <number>', 'of what is written meanwhile', Number, Date.now() % 1_000_000)
  .option('--write <file>', 'the page whose table is brought up to date; cells that were not run stay')
  .parse()
  .opts<{ only?: string; faults: string; seed: number; write?: string }>()

const say = (text: string) => void process.stdout.write(`${new Date().toISOString()} ${text}\n`)
const cells = new Map<string, Cell>()
let found = 0
say(`seed ${seed}`)
for (const point of POINTS.filter(({ operation }) => only === undefined || operation === only)) {
  // What one point leaves must not be in the way of the next.
  const cluster = await startChaosCluster(SHAPE)
  try {
    await fill(cluster)
    for (const fault of FAULTS.filter(({ name }) => name.includes(faults))) {
      const what = `${point.operation} ${point.state}: ${fault.name}`
      const cell = await strike(cluster, point, fault, seed).catch(
        (error: unknown): Cell => ({ outcome: 'stuck', findings: [String(error)] }),
      )
      cells.set(what, cell)
      say(`${what}: ${cell.outcome}${cell.seconds === undefined ? '' : ` after ${cell.seconds} s`}`)
      for (const finding of cell.findings) say(`  FOUND: ${finding}`)
      found += cell.findings.length
      if (cell.outcome === 'stuck') say(cluster.words().split('\n').slice(-60).join('\n'))
      if (cell.outcome === 'stuck') break
    }
  } finally {
    await cluster.stop()
  }
}
if (write !== undefined) writeFileSync(write, pageWith(readFileSync(write, 'utf8'), cells))
say(`${cells.size} cells, ${found} findings`)
process.exit(found > 0 ? 1 : 0)

async function fill({ admin, leader }: ChaosCluster): Promise<void> {
  const documents = Array.from({ length: 8 }, (_, index) => ({ index, bytes: randomBytes(BULK_BYTES / 8) }))
  await admin.db('bulk').collection('rows').insertMany(documents)
  const throttle = { upload: BYTES_PER_SECOND, download: BYTES_PER_SECOND }
  await leader
    .db('admin')
    .collection('pbmConfig')
    .updateOne({ storage: { $exists: true } }, { $set: { 'backup.throttle': throttle } })
}
