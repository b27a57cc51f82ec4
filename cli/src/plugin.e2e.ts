import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listAgents, publishAgent } from '@pbmkit/core'
import { type Cluster, startCluster, until } from './cluster.support.js'

interface Listed {
  kind: string
  name: string
  apiVersion?: number
  version: string
  package?: string
  folder?: string
  configured: boolean
  fault?: { code: string; message: string; hint?: string }
}

interface PluginList {
  apiVersion: number
  cli: { plugins: Listed[] }
  agents: { agent: string; plugins: Listed[]; unknown?: string }[]
}

describe('pbm plugin list', () => {
  let cluster: Cluster

  before(async () => {
    cluster = await startCluster()
    const input = `storage: {type: filesystem, filesystem: {path: ${cluster.folder}/backups}}\nbackup: {compression: gzip}\n`
    assert.equal((await cluster.pbm(['config', '--file', '-'], { input })).code, 0)
    await cluster.startAgent()
  })
  after(() => cluster.stop())

  const list = async (args: string[] = []) => (await cluster.json(['plugin', 'list', ...args])).value as PluginList

  it('tells what an agent and this program can load, with versions, places and API versions', async () => {
    // The agent looks at its plugins with its second report.
    await until('the agent to have looked', async () => (await list()).agents[0]?.plugins[0]?.apiVersion === 1)
    const told = await list()
    assert.equal(told.apiVersion, 1)
    const [agent] = told.agents
    assert.equal(agent?.agent, `${cluster.set.name}/${cluster.host}`)
    for (const plugins of [told.cli.plugins, agent?.plugins ?? []]) {
      const filesystem = plugins.find(({ name }) => name === 'filesystem')
      assert.match(filesystem?.folder ?? '', /storage-filesystem$/)
      assert.match(filesystem?.version ?? '', /^\d+\.\d+\.\d+$/)
      assert.equal(filesystem?.package, '@pbmkit/storage-filesystem')
      const configured = plugins.filter((plugin) => plugin.configured).map(({ kind, name }) => `${kind} ${name}`)
      assert.deepEqual(configured, ['storage filesystem', 'compression gzip', 'compression none'])
      assert.deepEqual(
        plugins.filter(({ fault }) => fault !== undefined),
        [],
      )
    }
    const { stdout } = await cluster.pbm(['plugin', 'list'])
    assert.match(stdout, /This program:\n[\s\S]*storage +filesystem +\d/)
  })

  it('tells a plugin of another API version, and the command that mends it', async () => {
    const folder = join(cluster.folder, 'plugins', 'node_modules', 'pbmkit-storage-old')
    await mkdir(folder, { recursive: true })
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({
        name: 'pbmkit-storage-old',
        version: '0.0.9',
        type: 'module',
        exports: './main.js',
        keywords: ['pbmkit-plugin'],
      }),
    )
    await writeFile(
      join(folder, 'main.js'),
      "export default { kind: 'storage', name: 'old', apiVersion: 0, open() {}, describe: () => '' }",
    )
    const pluginDir = ['--plugin-dir', join(cluster.folder, 'plugins')]
    const old = (await list(pluginDir)).cli.plugins.find(({ name }) => name === 'old')
    assert.equal(old?.fault?.code, 'PLUGIN_WRONG_API')
    assert.equal(old?.version, '0.0.9')
    const { stdout } = await cluster.pbm(['plugin', 'list', ...pluginDir])
    assert.match(stdout, /plugin API 0, this is plugin API 1\n +npm install --prefix \S+ pbmkit-storage-old@latest/)
  })

  it('counts the storages of profiles as configured', async () => {
    const storage = { type: 'sftp', sftp: { host: '192.0.2.1', path: '/backups' } }
    const profiles = cluster.leader.db('admin').collection('pbmConfig')
    await profiles.insertOne({ name: 'away', profile: true, storage })
    try {
      const sftp = (await list()).cli.plugins.find(({ name }) => name === 'sftp')
      assert.equal(sftp?.configured, true)
    } finally {
      await profiles.deleteOne({ name: 'away' })
    }
  })

  it('tells what the configuration names and an agent lacks', async () => {
    const [agent] = await listAgents(cluster.leader)
    assert.ok(agent !== undefined)
    const poor = { ...agent, n: 'poor:1', plugins: { storage: ['s3'], compression: ['gzip', 'none'] } }
    await publishAgent(cluster.leader, poor)
    await publishAgent(cluster.leader, withoutPlugins({ ...agent, n: 'pbm:1' }))
    const told = await list()
    const lacking = told.agents.find(({ agent: title }) => title.endsWith('/poor:1'))
    const [fault] = lacking?.plugins.flatMap(({ fault }) => fault ?? []) ?? []
    assert.equal(fault?.code, 'PLUGIN_MISSING')
    assert.match(fault?.hint ?? '', /^npm install @pbmkit\/storage-filesystem/)
    assert.match(told.agents.find(({ agent: title }) => title.endsWith('/pbm:1'))?.unknown ?? '', /agent of PBM/)
  })
})

function withoutPlugins(agent: Parameters<typeof publishAgent>[1]): Parameters<typeof publishAgent>[1] {
  const { plugins: _, ...rest } = agent
  return rest
}
