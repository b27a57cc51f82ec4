import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ReplicaSet,
  removeTemporaryFolder,
  spawnSupervised,
  startReplicaSet,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import { databaseRole } from '@pbmkit/core'
import { type Example, extractExamples, fitToStage } from './examples.js'
import { type ExampleStorage, startStorage } from './examples-storage.support.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

const root = repositoryRoot()
const PRELUDE = `
newest_backup() {
  pbm list -o json | node -e "
    let text = ''; process.stdin.on('data', (chunk) => (text += chunk)).on('end', () =>
      console.log(JSON.parse(text).snapshots.map(({ name }) => name).sort().at(-1)))"
}
newest_restore() {
  pbm list --restore -o json | node -e "
    let text = ''; process.stdin.on('data', (chunk) => (text += chunk)).on('end', () =>
      console.log(JSON.parse(text).map(({ name }) => name).sort().at(-1)))"
}
newest_time() {
  until pbm list -o json | node -e "
    let text = ''; process.stdin.on('data', (chunk) => (text += chunk)).on('end', () => {
      const { range } = JSON.parse(text).pitr.ranges?.at(-1) ?? {}
      if (range === undefined) process.exit(1)
      console.log(new Date(range.end * 1000).toISOString().slice(0, 19)) })"
  do sleep 1; done
}
`

/** Puts `pbm` and `pbm-agent` of this working tree, and its Node.js, on PATH. */
async function programs(folder: string): Promise<string> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  for (const [name, script] of [
    ['pbm', 'cli/dist/bin.js'],
    ['pbm-agent', 'agent/dist/src/bin.js'],
  ] as const) {
    const body = `#!/bin/sh\nexec "${process.execPath}" "${join(root, script)}" "$@"\n`
    await writeFile(join(bin, name), body, { mode: 0o755 })
  }
  return [bin, join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
}

async function runExample(example: Example): Promise<void> {
  const folder = await temporaryFolder('pbmkit-example-')
  let set: ReplicaSet | undefined
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: await programs(folder),
    HOME: folder,
    PBM_ALLOW_FILES: tmpdir(),
  }
  const leaders: number[] = []
  let storage: ExampleStorage | undefined
  try {
    storage = await startStorage(example.needs)
    let uri = 'mongodb://127.0.0.1:1/'
    if (example.needs.some((need) => need === 'replset' || need === 'agent')) {
      set = await startReplicaSet({ auth: true })
      uri = set.uri({ user: await set.createUser(databaseRole('agent')) })
      env.PBM_MONGODB_URI = uri
    }
    if (example.needs.includes('agent')) {
      await (await set?.client())?.db('shop').collection('customers').insertOne({ name: 'Ann' })
      const agent = spawnSupervised(process.execPath, [join(root, 'agent/dist/src/bin.js')], { env, stdio: 'ignore' })
      if (agent.pid !== undefined) leaders.push(agent.pid)
      const reports = (await set?.client())?.db('admin').collection('pbmAgents')
      while ((await reports?.countDocuments()) === 0) await sleep(100)
    }
    const keys = join(folder, 'keys')
    await writeFile(keys, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
    await writeFile(join(folder, 'dump.bson'), 'what an example packs or seals'.repeat(100))
    const code = fitToStage(example.code, { uri, backups: join(folder, 'backups'), keys, ...storage })
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    const script = join(folder, { sh: 'example.sh', js: 'example.mjs', ts: 'example.mts' }[example.language])
    await writeFile(script, example.language === 'sh' ? `set -eu\n${PRELUDE}${code}` : code)
    const program = example.language === 'sh' ? '/bin/sh' : process.execPath
    const child = spawnSupervised(program, [script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    if (child.pid !== undefined) leaders.push(child.pid)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk))
    // Not `close`: what the example left running in the background holds the pipes open.
    const [exitCode] = await once(child, 'exit')
    assert.equal(exitCode, 0, `${example.file}:${example.line}\n${code}\n${output}`)
  } finally {
    // A program that was started is the leader of its own process group, which has what it started in turn.
    for (const pid of leaders) killGroup(pid)
    await set?.stop()
    await storage?.stop()
    await removeTemporaryFolder(folder)
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // Nothing of the group is left.
  }
}

describe('examples in the documentation', function () {
  // Every line of an example starts a program.
  this.timeout(600_000)
  for (const file of repositoryFiles(root).filter((path) => path.endsWith('.md'))) {
    for (const example of extractExamples(file, readText(root, file))) {
      it(`${file}: ${example.name}`, () => runExample(example))
    }
  }
})
