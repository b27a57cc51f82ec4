// Builds, then runs test files by the names of their sources, on the project's own Node.
//
//   npm run test:file -- core/src/protocol/lock.spec.ts --grep stale
//   npm run test:changed -- --base HEAD~3 --list
//
// Of its own are only `--changed`, `--base REF` and `--list`; what else it is given goes to mocha.
// No syntax newer than Node 20, which a shell may have first on PATH.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const BUNDLE = 'scripts/bundle-page.mjs'
const TEST = /\.(spec|e2e)\.(ts|js)$/

class UsageError extends Error {}

/** The compiled file of a source, by the tsconfig.json of its project; a compiled one is itself. */
function compiled(path) {
  const absolute = resolve(path)
  for (let folder = dirname(absolute); folder.startsWith(root); folder = dirname(folder)) {
    const file = join(folder, 'tsconfig.json')
    if (!existsSync(file)) continue
    const { rootDir, outDir } = JSON.parse(readFileSync(file, 'utf8')).compilerOptions ?? {}
    if (rootDir === undefined || outDir === undefined) break
    const out = resolve(folder, outDir)
    if (absolute.startsWith(out) && absolute.endsWith('.js')) return absolute
    const inside = relative(resolve(folder, rootDir), absolute)
    if (!inside.startsWith('..')) return join(out, inside.replace(/\.ts$/, '.js'))
  }
  throw new UsageError(`${path} belongs to no project with a tsconfig.json`)
}

function git(...args) {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function isCommit(name) {
  return spawnSync('git', ['rev-parse', '--verify', '--quiet', `${name}^{commit}`], { cwd: root }).status === 0
}

/** Tests that changed since the branch left `base`, and those beside sources that did; committed or not. */
function changedTests(base) {
  if (!isCommit(base)) throw new UsageError(`git knows no commit ${base}`)
  const changed = git('diff', '--name-only', '-z', '--diff-filter=d', '--merge-base', base)
  const untracked = git('ls-files', '-z', '--others', '--exclude-standard')
  const tests = new Set()
  for (const path of `${changed}${untracked}`.split('\0').filter((each) => each.endsWith('.ts'))) {
    if (TEST.test(path)) tests.add(path)
    else for (const kind of ['spec', 'e2e']) tests.add(path.replace(/\.ts$/, `.${kind}.ts`))
  }
  return [...tests].map((path) => join(root, path)).filter((path) => existsSync(path))
}

function parse(args) {
  const options = { files: [], mocha: [], changed: false, list: false, base: undefined }
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]
    if (arg === '--changed') options.changed = true
    else if (arg === '--list') options.list = true
    else if (arg === '--base') options.base = args[++index]
    else if (TEST.test(arg) && existsSync(arg)) options.files.push(arg)
    else if (TEST.test(arg)) throw new UsageError(`there is no file ${arg}`)
    else options.mocha.push(arg)
  }
  if (options.changed) {
    const base = options.base ?? (isCommit('origin/main') ? 'origin/main' : 'HEAD')
    options.files.push(...changedTests(base))
    if (options.files.length === 0) console.error(`No test has changed since ${base}, and none stands beside what has.`)
  } else if (options.files.length === 0) {
    throw new UsageError('name a test: npm run test:file -- core/src/protocol/lock.spec.ts [options of mocha]')
  }
  return options
}

function run(program, args) {
  const bin = join(root, 'node_modules', '.bin')
  const { status, error } = spawnSync(join(bin, program), args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
  })
  if (error) throw new UsageError(`${program} can't be run: ${error.message}; is the project set up? (npm run setup)`)
  return status ?? 1
}

try {
  const { files, mocha, list } = parse(process.argv.slice(2))
  const targets = files.map((file) => relative(root, compiled(file)))
  if (list) for (const target of targets) console.log(target)
  else if (targets.length > 0)
    process.exitCode =
      run('tsc', ['-b']) ||
      (existsSync(join(root, BUNDLE)) ? run('node', [join(root, BUNDLE)]) : 0) ||
      run('mocha', [...mocha, ...targets])
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`test: ${error.message}`)
  process.exitCode = 64
}
