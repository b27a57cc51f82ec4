// Changes backups as somebody can who may write to the storage, and has a real mongod restore from them, each time in another
// way: nothing may crash, be written where no restore may write, or read as done and differ. The seed of a case gives it again.
//
//   npm run crafted -- --count 1000 --seed 7 --target cluster
//
// The target is `set`, a replica set, or `cluster`, a sharded one; the count is that of each, and both are there where none is named.
// A few dozen run with every other test.
import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const FILE = 'core/dist/restore/crafted/crafted.e2e.js'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
  },
})
const { target, ...numbers } = values
if (target !== undefined && !['set', 'cluster'].includes(target)) {
  console.error(`crafted: --target ${target} is neither set nor cluster`)
  process.exit(2)
}
for (const [name, text] of Object.entries(numbers)) {
  if (Number.isSafeInteger(Number(text)) && Number(text) >= (name === 'count' ? 1 : 0)) continue
  console.error(`crafted: --${name} ${text} is no number that it can be`)
  process.exit(2)
}
const env = {
  ...process.env,
  PATH: [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
  PBMKIT_CRAFTED_COUNT: values.count,
  PBMKIT_CRAFTED_SEED: values.seed,
  ...(target === undefined ? {} : { PBMKIT_CRAFTED_TARGET: target }),
}
const run = (program, args) => spawnSync(program, args, { cwd: root, env, stdio: 'inherit' }).status
process.exit(run('tsc', ['-b']) || run('mocha', [FILE]))
