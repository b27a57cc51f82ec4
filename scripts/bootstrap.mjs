// Makes a fresh clone ready to run: dependencies, build, a mongod. Does nothing that is done already.
// Runs before anything is installed, so: no dependencies, and no syntax newer than Node 20.
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bundlePage } from './bundle-page.mjs'
import { removeStaleOutputs } from './stale-outputs.mjs'

const OLDEST_NODE = 20
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = (name) => join(root, 'node_modules', '.bin', name)

class SetupError extends Error {}

function run(command, args, { quiet = true } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', quiet ? 'pipe' : 'inherit', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
    child.once('error', (error) => reject(new SetupError(`${command}: ${error.message}`)))
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output)
      else reject(new SetupError(`${command} ${args.join(' ')} failed (${signal ?? `exit code ${code}`}):\n${output}`))
    })
  })
}

async function step(text, work) {
  const started = Date.now()
  process.stderr.write(`setup: ${text} …`)
  try {
    const result = await work()
    process.stderr.write(` ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
    return result
  } catch (error) {
    process.stderr.write(' failed\n')
    throw error
  }
}

// Compares versions, not times: a pull that touches the lock file without changing a version needs no install.
function dependenciesAreCurrent() {
  // npm writes this file last: it is missing after an install that broke off.
  const installedFile = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installedFile)) return false
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  return Object.entries(wanted).every(([path, { version, optional, link }]) => {
    if (link) return existsSync(join(root, path))
    // Those of other platforms are optional and rightly absent.
    return !path.includes('node_modules/') || installed[path]?.version === version || (optional && !installed[path])
  })
}

// npm links the programs of packages only where they exist at install time; these are compiled afterwards.
function linkPrograms() {
  for (const [name, path] of [
    ['pbm', 'cli/dist/bin.js'],
    ['pbm-agent', 'agent/dist/src/bin.js'],
  ]) {
    const program = join(root, path)
    chmodSync(program, 0o755)
    rmSync(bin(name), { force: true })
    symlinkSync(join('..', '..', path), bin(name))
  }
}

async function main() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < OLDEST_NODE) throw new SetupError(`needs Node.js ${OLDEST_NODE} or later, this is ${process.version}`)

  if (!dependenciesAreCurrent()) {
    await step('installing dependencies', () => run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']))
  }
  await run(bin('node'), ['--version']).catch(() => {
    throw new SetupError(
      'the project runs on a Node.js of its own (npm package "node"), which its install script has not put in place.\n' +
        "Are install scripts turned off (ignore-scripts in npm's configuration)? Then run: npm rebuild node",
    )
  })
  await step('compiling', () => run(bin('tsc'), ['-b']))
  // Not before: what the compiler believes to have written has to be there.
  removeStaleOutputs(root)
  await bundlePage()

  linkPrograms()

  const finder = join(root, 'conformance', 'dist', 'testbed', 'find-mongod.js')
  const { findMongod } = await import(pathToFileURL(finder).href)
  await findMongod({ onProgress: (line) => process.stderr.write(`setup: ${line}\n`) }).catch((error) => {
    throw new SetupError(error.message)
  })
}

main().catch((error) => {
  process.stderr.write(`setup: ${error instanceof SetupError ? error.message : error.stack}\n`)
  process.exitCode = 1
})
