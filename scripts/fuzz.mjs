// Runs the properties of everything that reads what comes from a storage or a collection, again and again with other
// values, until the time is over or one fails: fast-check then names the smallest example. It ends by itself, and tells the
// readers that it has tried, how often, and the seed that gives the same values again.
//
//   npm run fuzz -- --minutes 60
//   npm run fuzz -- --seed 7 --minutes 1
//
// The same files run once, for some seconds, with every other test.
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const FILES = '{core,agent,plugins/*}/dist/**/hostile-*.spec.js'
/** fast-check takes a signed number of 32 bits. */
const LARGEST_SEED = 2 ** 31 - 1

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % LARGEST_SEED) },
  },
})
const [minutes, first] = [Number(values.minutes), Number(values.seed)]
if (!(minutes > 0)) {
  console.error(`fuzz: --minutes ${values.minutes} is no number above 0`)
  process.exit(2)
}
if (!Number.isInteger(first) || first < 0 || first > LARGEST_SEED) {
  console.error(`fuzz: --seed ${values.seed} is no whole number from 0 to ${LARGEST_SEED}`)
  process.exit(2)
}
const folder = mkdtempSync(join(tmpdir(), 'pbmkit-fuzz-'))
const counts = join(folder, 'counts')
const env = {
  ...process.env,
  PATH: [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
  PBMKIT_FUZZ_COUNTS: counts,
}
const run = (program, args, more = {}) =>
  spawnSync(program, args, { cwd: root, env: { ...env, ...more }, stdio: 'inherit' }).status
if (run('tsc', ['-b']) !== 0) process.exit(1)
const files = globSync(FILES, { cwd: root }).sort()
const began = Date.now()
let rounds = 0
let failed = false
do {
  const PBMKIT_FUZZ_SEED = String((first + rounds) % LARGEST_SEED)
  failed =
    run('mocha', ['--require', './scripts/fuzz-seed.mjs', '--reporter', 'dot', ...files], { PBMKIT_FUZZ_SEED }) !== 0
  rounds += 1
} while (!failed && Date.now() - began < minutes * 60_000)
const tried = readFileSync(counts, { encoding: 'utf8', flag: 'a+' }).split('\n').map(Number)
rmSync(folder, { recursive: true, force: true })
console.log(`fuzz: readers tried: ${files.map(titleOf).join('; ')}`)
const about = `${rounds} rounds of ${files.length} files, ${tried.reduce((sum, one) => sum + one, 0)} values`
const took = `${Math.round((Date.now() - began) / 60_000)} min, seeds ${first} to ${first + rounds - 1}`
console.log(
  `fuzz: ${about}, ${took}: ${failed ? `the last one found something: --seed ${first + rounds - 1}` : 'nothing was found'}`,
)
process.exit(failed ? 1 : 0)

/** What a file is about: the titles of its suites. */
function titleOf(file) {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^describe\('([^']+)'/gm)].map(([, title]) => title).join(', ')
}
