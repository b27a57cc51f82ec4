// Kills agent, mongod and the process that watches over the lock in each phase of physical backups and restores: the old data or
// the new must run afterwards, and nothing may stay locked. A few of the cases run with every other test.
//
//   npm run kills
import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules', '.bin')
const env = { ...process.env, PATH: [bin, process.env.PATH].join(delimiter), PBMKIT_KILLS: 'all' }
const run = (program, args) => spawnSync(program, args, { cwd: root, env, stdio: 'inherit' }).status
process.exit(run('tsc', ['-b']) || run('mocha', ['agent/dist/e2e/physical-killed.e2e.js', ...process.argv.slice(2)]))
