// Flips random bits over the objects of backups of every kind, and of the stored oplog, one at a time: verifying has to find each.
// Some in what is written without a server, in every codec; some in what agents have stored.
//
//   npm run bit-flips -- --count 10000 --seed 7
//
// A few hundred run with every other test.
import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const FILES = ['core/dist/verification/bit-flips.spec.js', 'cli/dist/verify.e2e.js']

const { values } = parseArgs({
  options: { count: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' } },
})
for (const [name, text] of Object.entries(values)) {
  if (Number.isSafeInteger(Number(text)) && Number(text) >= (name === 'count' ? 1 : 0)) continue
  console.error(`bit-flips: --${name} ${text} is no number that it can be`)
  process.exit(2)
}
const env = {
  ...process.env,
  PATH: [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
  PBMKIT_BIT_FLIPS_COUNT: values.count,
  PBMKIT_BIT_FLIPS_SEED: values.seed,
}
const run = (program, args) => spawnSync(program, args, { cwd: root, env, stdio: 'inherit' }).status
process.exit(run('tsc', ['-b']) || run('mocha', FILES))
