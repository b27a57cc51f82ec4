// Runs the properties of everything that reads what comes from a storage or a collection, again and again with other
// values, until the time is over or one fails: fast-check then names the seed and the smallest example.
//
//   npm run fuzz -- --minutes 30
//
// The same files run once, for some seconds, with every other test.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const FILES = '{core,agent,plugins/*}/dist/**/hostile-*.spec.js'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
const minutes = Number(values.minutes)
if (!(minutes > 0)) {
  console.error(`fuzz: --minutes ${values.minutes} is no number above 0`)
  process.exit(2)
}
const env = { ...process.env, PATH: [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter) }
const run = (program, args) => spawnSync(program, args, { cwd: root, env, stdio: 'inherit' }).status
if (run('tsc', ['-b']) !== 0) process.exit(1)
const files = globSync(FILES, { cwd: root })
const end = Date.now() + minutes * 60_000
let rounds = 0
do {
  if (run('mocha', ['--reporter', 'dot', ...files]) !== 0) process.exit(1)
  rounds += 1
} while (Date.now() < end)
console.log(`${rounds} rounds of ${files.length} files, and nothing was found`)
