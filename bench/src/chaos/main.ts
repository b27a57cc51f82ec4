#!/usr/bin/env node
import { type Random, seededRandom } from '@pbmkit/conformance/testbed'
import { Command, Option } from 'commander'
import { type ChaosCluster, startChaosCluster } from './cluster.js'
import { History } from './history.js'
import { runRound } from './round.js'
import { type ClusterKind, randomShape } from './shape.js'

/** Then another cluster is made. */
const ROUNDS = 4

const { minutes, seed, clusters } = new Command('chaos')
  .description('Backs up and restores clusters of random shapes in random trouble, and tells what is not right.')
  .option('--minutes <number>', 'how long, at least; the last round is finished', Number, 5)
  .option(
    '--seed <number>',
    'the same seed makes the same clusters and the same trouble',
    Number,
    Date.now() % 1_000_000,
  )
  .addOption(new Option('--clusters <kind>', 'which ones').choices(['any', 'replica-set', 'sharded']).default('any'))
  .parse()
  .opts<{ minutes: number; seed: number; clusters: ClusterKind }>()

const findings: string[] = []
const say = (text: string) => void process.stdout.write(`${new Date().toISOString()} ${text}\n`)
const tell = (finding: string) => {
  findings.push(finding)
  say(`FOUND: ${finding}`)
}

say(`seed ${seed}`)
const random = seededRandom(seed)
const end = Date.now() + minutes * 60_000
while (Date.now() < end) await runCluster(random)
say(`${findings.length} findings with seed ${seed}`)
process.exit(findings.length > 0 ? 1 : 0)

async function runCluster(random: Random): Promise<void> {
  const shape = randomShape(random, clusters)
  // Every cluster and round has numbers of its own: how often the one before drew depends on time.
  const seeds = Array.from({ length: ROUNDS }, () => random(2 ** 31))
  const { isSharded, kinds, uriOptions, compression, slices, megabytes } = shape
  say(
    `${isSharded ? 'two shards, each with ' : ''}members ${kinds.join(', ')}; URI '${uriOptions}'; ${compression}; slices ${slices}; ${megabytes} MB`,
  )
  let cluster: ChaosCluster | undefined
  try {
    cluster = await startChaosCluster(shape)
    const history = new History()
    for (const own of seeds) {
      if (Date.now() >= end) return
      await runRound(cluster, seededRandom(own), history, { tell, note: say })
    }
  } catch (error) {
    tell(`a round ended early: ${error instanceof Error ? error.stack : error}`)
  } finally {
    if (findings.length > 0 && cluster !== undefined) say(lastWords(cluster))
    await cluster?.stop()
  }
}

function lastWords({ agents }: ChaosCluster): string {
  const ends = agents.map(({ member, output }) => `--- ${member.host}\n${output.split('\n').slice(-60).join('\n')}`)
  return `what the agents said last:\n${ends.join('\n')}`
}
