import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, PluginHost } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { KeyWatch } from './key-watch.js'
import { StorageWatch } from './storage-watch.js'

const HANGING = `import { appendFile } from 'node:fs/promises'
export default {
  kind: 'storage', name: 'hanging', apiVersion: 1, describe: () => 'nowhere',
  optionsSchema: { type: 'object', additionalProperties: false, properties: { log: { type: 'string' } } },
  open: async ({ log }) => { await appendFile(log, '.'); await new Promise(() => undefined) },
}`

describe('StorageWatch', () => {
  let folder: string
  let stopping: AbortController

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-storage-watch-'))
    const plugin = join(folder, 'node_modules', 'pbmkit-storage-hanging')
    await mkdir(plugin, { recursive: true })
    const manifest = { name: 'pbmkit-storage-hanging', version: '1.0.0', type: 'module', exports: './main.js' }
    await writeFile(join(plugin, 'package.json'), JSON.stringify(manifest))
    await writeFile(join(plugin, 'main.js'), HANGING)
    stopping = new AbortController()
  })
  afterEach(async () => {
    stopping.abort()
    await rm(folder, { recursive: true, force: true })
  })

  it('says of a storage that never opens that it does not answer, and looks at another one at once', async () => {
    const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir: folder })
    const common = { host, node: 'n', signal: stopping.signal }
    const watch = new StorageWatch({
      ...{ ...common, keys: new KeyWatch(common), warn: () => undefined },
      probeMillis: 100,
    })
    const epoch = new Timestamp(0n)
    const log = join(folder, 'log')
    const hanging: Config = { storage: { type: 'hanging', hanging: { log } }, epoch }
    for (let looks = 0; looks < 2; looks++) {
      const { ok, e } = await watch.check(hanging)
      assert.equal(ok, false)
      assert.match(e, /the storage has not answered within 0.1 s/)
    }
    // While it hangs, it is not tried again and again.
    assert.equal(await readFile(log, 'utf8'), '.')
    const mended: Config = { storage: { type: 'filesystem', filesystem: { path: folder } }, epoch }
    assert.deepEqual(await watch.check(mended), { ok: true, e: '' })
    await watch.close()
  })
})
