import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, PluginHost } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { withStore } from './storages.js'

/** A storage that writes down when it is closed. It opens or closes, where asked to, once there is a file beside its own. */
const PLUGIN = `
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
const held = async (gate) => {
  while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 5))
}
export default {
  kind: 'storage',
  name: 'told',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    properties: { file: { type: 'string' }, holds: { enum: ['no', 'open', 'close'] } },
    additionalProperties: false,
  },
  describe: () => 'nowhere',
  open: async ({ file, holds }) => {
    if (holds === 'open') {
      await writeFile(file, 'opening')
      await held(file + '.gate')
    }
    const close = async () => {
      if (holds === 'close') await held(file + '.gate')
      await writeFile(file, 'closed')
    }
    return { capabilities: {}, close }
  },
}
`

describe('withStore', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-context-'))
    const home = join(folder, 'node_modules/pbmkit-storage-told')
    await mkdir(home, { recursive: true })
    const description = {
      name: 'pbmkit-storage-told',
      version: '1.0.0',
      type: 'module',
      exports: './index.js',
      keywords: ['pbmkit-plugin'],
    }
    await writeFile(join(home, 'package.json'), JSON.stringify(description))
    await writeFile(join(home, 'index.js'), PLUGIN)
  })
  afterEach(() => rm(folder, { recursive: true }))

  const nothing = () => undefined
  const warnings: string[] = []
  const log = { debug: nothing, info: nothing, warning: (text: string) => void warnings.push(text), error: nothing }
  const contextOf = (file: string, signal: AbortSignal, holds: 'no' | 'open' | 'close' = 'no') => ({
    host: new PluginHost({ resolveFrom: import.meta.url, pluginDir: folder }),
    config: { storage: { type: 'told', told: { file, holds } }, epoch: new Timestamp(0n) } satisfies Config,
    ...{ signal, log, leader: undefined, self: { rs: 'rs0', node: 'localhost:27017' } },
  })
  const until = async (file: string, text: string) => {
    while ((await readFile(file, 'utf8').catch(() => '')) !== text)
      await new Promise((resolve) => setTimeout(resolve, 5))
  }

  it('closes the storage however the operation ends', async () => {
    const { signal } = new AbortController()
    const done = join(folder, 'closed-0')
    assert.equal(await withStore(contextOf(done, signal), async () => 'done'), 'done')
    assert.equal(await readFile(done, 'utf8'), 'closed')
    const failed = join(folder, 'closed-1')
    const work = () => Promise.reject(new Error('the work says so'))
    await assert.rejects(withStore(contextOf(failed, signal), work), /the work says so/)
    assert.equal(await readFile(failed, 'utf8'), 'closed')
  })

  it('opens none for an operation that was stopped before', async () => {
    const file = join(folder, 'closed')
    const signal = AbortSignal.abort(new Error('cancelled'))
    await assert.rejects(
      withStore(contextOf(file, signal), async () => 'never'),
      /cancelled/,
    )
    await assert.rejects(readFile(file), { code: 'ENOENT' })
  })

  it('lets an operation stop while its storage is still opening, and closes it then', async () => {
    const file = join(folder, 'closed')
    const stop = new AbortController()
    let began = false
    const running = withStore(contextOf(file, stop.signal, 'open'), async () => {
      began = true
    })
    await Promise.race([until(file, 'opening'), running])
    stop.abort(new Error('cancelled'))
    await assert.rejects(running, /cancelled/)
    assert.equal(await readFile(file, 'utf8'), 'opening')
    await writeFile(`${file}.gate`, '')
    await until(file, 'closed')
    assert.equal(began, false)
  })

  it('waits no longer than a while for a storage that does not close, and warns of it', async () => {
    const file = join(folder, 'closed')
    const { signal } = new AbortController()
    const context = contextOf(file, signal, 'close')
    const { storage } = context.config
    warnings.splice(0)
    assert.equal(await withStore(context, async () => 'done', storage, { closeMs: 20 }), 'done')
    const work = () => Promise.reject(new Error('the work says so'))
    await assert.rejects(withStore(context, work, storage, { closeMs: 20 }), /the work says so/)
    const warning = 'closing the storage: it has not ended within 0.02 s'
    assert.deepEqual(warnings, [warning, warning])
    await writeFile(`${file}.gate`, '')
    await until(file, 'closed')
  })
})
