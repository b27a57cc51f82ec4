import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { PluginHost, saveProfile } from '@pbmkit/core'
import { type Cluster, startCluster, until } from './cluster.support.js'
import { pbmProcess } from './run.support.js'

interface Report {
  storage: string
  place: string
  profile?: string
  cases: { total: number; passed: number; failed: number }
  failures: { group: string; title: string; error: string }[]
  speed?: { bytes: number; upBytesPerSecond: number; downBytesPerSecond: number; smallObjectsPerSecond: number }
}

describe('pbm storage check', () => {
  let cluster: Cluster
  let place: string
  let pluginDir: string

  before(async () => {
    cluster = await startCluster()
    place = join(cluster.folder, 'backups')
    pluginDir = join(cluster.folder, 'plugins')
    await writeFile(join(place, 'somebody else'), 'stays')
    const input = `storage: {type: filesystem, filesystem: {path: ${place}}}\n`
    assert.equal((await cluster.pbm(['config', '--file', '-'], { input })).code, 0)
  })
  after(() => cluster.stop())

  it('runs the cases of the suite on the live storage, measures it, and leaves nothing', async () => {
    const ended = await cluster.json(['storage', 'check', '--only', 'delete', '--size', '3'])
    assert.equal(ended.code, 0, ended.stdout)
    const report = ended.value as Report
    assert.deepEqual([report.storage, report.place], ['filesystem', place])
    assert.ok(report.cases.total > 10, String(report.cases.total))
    assert.equal(report.cases.passed, report.cases.total)
    assert.equal(report.speed?.bytes, 3 * 1024 * 1024)
    for (const figure of Object.values(report.speed ?? {})) assert.ok(figure > 0)
    assert.deepEqual(await readdir(place), ['somebody else'])
    const lines = ended.stderr.trim().split('\n')
    assert.ok(lines.every((line) => 'progress' in (JSON.parse(line) as object)))
  })

  it('finds no fault in the storage that everybody begins with, whatever the case', async () => {
    const { value, stdout } = await cluster.json(['storage', 'check', '--size', '0'])
    const { cases } = value as Report
    assert.equal(cases.passed, cases.total, stdout)
    assert.ok(cases.total > 300, String(cases.total))
  })

  it('keeps the longest names below its folder', async () => {
    const { stdout, code } = await cluster.pbm(['storage', 'check', '--only', 'longest', '--size', '1'])
    assert.equal(code, 0, stdout)
    assert.match(stdout, /3 of 3 cases passed[\s\S]*up +[\d.]+ [KMG]iB\/s\ndown +[\d.]+ [KMG]iB\/s/)
    const long = await cluster.json(['storage', 'check', '--only', '1,024 bytes', '--size', '0'])
    assert.equal((long.value as Report).cases.passed, 3)
    assert.equal((long.value as Report).speed, undefined)
  })

  it('says which case a storage fails, with exit code 1', async () => {
    await plugin('lying', 'stat: async (name) => ({ ...(await store.stat(name)), size: 7 })')
    const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir })
    const profile = { name: 'second', storage: { type: 'lying', lying: { path: place } } }
    await saveProfile(cluster.leader, profile, host)
    const args = ['storage', 'check', '--profile', 'second', '--only', 'stat', '--size', '0', '--plugin-dir', pluginDir]
    const ended = await cluster.json(args)
    assert.equal(ended.code, 1)
    const report = ended.value as Report
    assert.equal(report.profile, 'second')
    assert.ok(report.cases.failed > 0 && report.failures.length === report.cases.failed)
    assert.match((await cluster.pbm(args)).stdout, /failed {2}stat: /)
    assert.deepEqual(await readdir(place), ['somebody else'])
  })

  it('says of a storage that can not be used what is wrong, once and not for every case', async () => {
    const html = "(async function* () { yield Buffer.from('<html>') })()"
    const closed = join(cluster.folder, 'welcoming-closed')
    const close = `close: async () => (await import('node:fs')).writeFileSync('${closed}', String(await store.close()))`
    await plugin('welcoming', `read: async () => ${html}, ${close}`)
    const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir })
    const path = join(cluster.folder, 'welcome')
    const profile = { name: 'fourth', storage: { type: 'welcoming', welcoming: { path } } }
    await saveProfile(cluster.leader, profile, host)
    const ended = await cluster.pbm(['storage', 'check', '--profile', 'fourth', '--plugin-dir', pluginDir])
    assert.equal(ended.code, 1)
    assert.match(
      ended.stderr,
      /Error: .*welcome: what was read is not what was written \[DATA_DIFFERS\]\nIs this a server of the kind/,
    )
    assert.equal(ended.stdout, '')
    assert.ok(!(await readdir(path)).includes('.pbmkit-check'))
    assert.ok(existsSync(closed), 'the storage is closed')
  })

  it('names the folder that it could not remove', async () => {
    await plugin('hoarding', 'delete: async () => {}')
    const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir })
    const path = join(cluster.folder, 'hoard')
    await saveProfile(cluster.leader, { name: 'third', storage: { type: 'hoarding', hoarding: { path } } }, host)
    const args = ['storage', 'check', '--profile', 'third', '--only', 'stat', '--size', '0', '--plugin-dir', pluginDir]
    const ended = await cluster.json(args)
    assert.equal(ended.code, 1)
    const { code, Error: message } = ended.value as { code: string; Error: string }
    assert.equal(code, 'SCRATCH_LEFT')
    assert.match(message, /\.pbmkit-check\/[0-9a-f]{8}\/ could not be removed/)
  })

  it('removes its folder on Ctrl-C too', async () => {
    const ended = await pbmProcess(['storage', 'check', '-o', 'json'], {
      env: { PBM_MONGODB_URI: cluster.uri },
      during: async (child, told) => {
        await until('a group of cases', async () => told().includes('"group":"save"'))
        assert.ok((await readdir(place)).includes('.pbmkit-check'))
        child.kill('SIGINT')
      },
    })
    assert.equal(ended.code, 130, ended.stderr)
    assert.equal((JSON.parse(ended.stdout) as { code: string }).code, 'INTERRUPTED')
    assert.deepEqual(await readdir(place), ['somebody else'])
  })

  /** The filesystem's plugin with one method of its stores changed. */
  async function plugin(name: string, method: string): Promise<void> {
    const folder = join(pluginDir, 'node_modules', `pbmkit-storage-${name}`)
    await mkdir(folder, { recursive: true })
    const manifest = {
      name: `pbmkit-storage-${name}`,
      version: '1.0.0',
      type: 'module',
      exports: './main.js',
      keywords: ['pbmkit-plugin'],
    }
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
    const real = pathToFileURL(join(import.meta.dirname, '../../plugins/storage-filesystem/dist/index.js')).href
    await writeFile(
      join(folder, 'main.js'),
      `import filesystem from '${real}'
       const open = async (options, context) => {
         const store = await filesystem.open(options, context)
         const bound = Object.fromEntries(['save', 'read', 'stat', 'list', 'delete', 'copy', 'close'].map((key) => [key, store[key].bind(store)]))
         return { capabilities: store.capabilities, ...bound, ${method} }
       }
       export default { ...filesystem, describe: (options) => filesystem.describe(options), name: '${name}', open }`,
    )
  }
})
