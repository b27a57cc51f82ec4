import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, lookForIdentity, PluginHost } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { KeyWatch } from './key-watch.js'
import { StorageWatch, type StorageWatchOptions } from './storage-watch.js'

/** Opens, as an empty one, once there is a file `gate`, and then only after `millis`. */
const HANGING = `import { appendFileSync, existsSync } from 'node:fs'
const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis))
export default {
  kind: 'storage', name: 'hanging', apiVersion: 1, describe: () => 'nowhere',
  optionsSchema: { type: 'object', additionalProperties: false, properties: {
    log: { type: 'string' }, reads: { type: 'string' }, gate: { type: 'string' }, millis: { type: 'number' },
  } },
  open: async ({ log, reads, gate, millis }) => {
    appendFileSync(log, '.')
    while (!existsSync(gate)) await pause(5)
    await pause(millis)
    const stat = async () => { throw Object.assign(new Error('none'), { code: 'STORAGE_NOT_FOUND' }) }
    const read = async () => { appendFileSync(reads, '.'); return await stat() }
    return { capabilities: {}, stat, read, close: async () => appendFileSync(log, 'closed') }
  },
}`

describe('StorageWatch', () => {
  let folder: string
  let stopping: AbortController

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-storage-watch-'))
    const plugin = join(folder, 'node_modules', 'pbmkit-storage-hanging')
    await mkdir(plugin, { recursive: true })
    const manifest = {
      name: 'pbmkit-storage-hanging',
      version: '1.0.0',
      type: 'module',
      exports: './main.js',
      keywords: ['pbmkit-plugin'],
    }
    await writeFile(join(plugin, 'package.json'), JSON.stringify(manifest))
    await writeFile(join(plugin, 'main.js'), HANGING)
    stopping = new AbortController()
  })
  afterEach(async () => {
    stopping.abort()
    await rm(folder, { recursive: true, force: true })
  })

  function watching(probeMs: number): StorageWatch {
    const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir: folder })
    const common = { host, node: 'n', signal: stopping.signal, warn: () => undefined }
    const see: StorageWatchOptions['see'] = async (store, _storage, call) => ({
      ...{ id: await lookForIdentity(store, call), at: 'here', fault: undefined },
    })
    const isUsed = async () => false
    return new StorageWatch({ ...common, keys: new KeyWatch(common), see, isUsed, probeMs })
  }
  const epoch = new Timestamp(0n)
  const inFolder = (name: string) => join(folder, name)
  const hangingFor = (millis: number): Config => {
    const hanging = { log: inFolder('log'), reads: inFolder('reads'), gate: inFolder('gate'), millis }
    return { storage: { type: 'hanging', hanging }, epoch }
  }
  const well = { ok: true, e: '' }
  async function untilWell(watch: StorageWatch, config: Config): Promise<void> {
    while (!(await watch.check(config)).ok) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  it('says of a storage that never opens that it does not answer, and looks at another one', async () => {
    const watch = watching(100)
    for (let looks = 0; looks < 2; looks++) {
      const { ok, e } = await watch.check(hangingFor(0))
      assert.equal(ok, false)
      assert.match(e, /the storage has not answered within 0.1 s/)
    }
    // While it hangs, it is not tried again and again.
    assert.equal(await readFile(inFolder('log'), 'utf8'), '.')
    await untilWell(watch, { storage: { type: 'filesystem', filesystem: { path: folder } }, epoch })
    await watch.close()
  })

  it('gives a slow storage its time for every one of several reports', async () => {
    const watch = watching(60_000)
    await writeFile(inFolder('gate'), '')
    // Longer than one that hung before is waited for.
    const slow = hangingFor(1_500)
    assert.deepEqual(await Promise.all([watch.check(slow), watch.check(slow)]), [well, well])
    assert.equal(await readFile(inFolder('log'), 'utf8'), '.')
    await watch.close()
  })

  it('looks once more for a command where a look was under way', async () => {
    const watch = watching(60_000)
    const looks = Promise.all([watch.check(hangingFor(0)), watch.answer(hangingFor(0), 'command', { writes: true })])
    await writeFile(inFolder('gate'), '')
    assert.deepEqual(await looks, [well, well])
    assert.equal(watch.place.opid, 'command')
    assert.equal(await readFile(inFolder('log'), 'utf8'), '.')
    assert.equal(await readFile(inFolder('reads'), 'utf8'), '..')
    await watch.close()
  })

  it('does not take a storage for well that opens once it was given up, before it is looked at', async () => {
    const watch = watching(500)
    assert.equal((await watch.check(hangingFor(0))).ok, false)
    const joined = watch.check(hangingFor(0))
    await writeFile(inFolder('gate'), '')
    assert.equal((await joined).ok, false)
    await untilWell(watch, hangingFor(0))
    assert.match(await readFile(inFolder('log'), 'utf8'), /^\.closed\./)
    await watch.close()
  })
})
