// Physical backups under random writes, each restored and compared with what the locked member had, on one member, three members
// and a sharded cluster: hashes of all databases, UUIDs, options, indexes, users, counters, and the server's full validation.
//
//   npm run rounds                                        30 rounds of each
//   npm run rounds -- --rounds 5 --kinds 1,sharded --servers 4.4.2,5.0.32
//   npm run rounds -- --kinds chain --rounds 30           one chain of so many increments
import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules', '.bin')
const text = (value) => ({ type: 'string', default: value })
const { rounds, kinds, servers } = parseArgs({
  options: { rounds: text('30'), kinds: text('1,3,sharded'), servers: text('') },
}).values
const isChain = kinds === 'chain'
const asked = isChain
  ? { PBMKIT_CHAIN: rounds }
  : { PBMKIT_ROUNDS: rounds, PBMKIT_KINDS: kinds, ...(servers !== '' && { PBMKIT_SERVERS: servers }) }
const env = { ...process.env, ...asked, PATH: [bin, process.env.PATH].join(delimiter) }
const run = (program, args) => spawnSync(program, args, { cwd: root, env, stdio: 'inherit' }).status
process.exit(
  run('tsc', ['-b']) || run('mocha', [`agent/dist/e2e/physical-${isChain ? 'increments' : 'rounds'}.e2e.js`]),
)
