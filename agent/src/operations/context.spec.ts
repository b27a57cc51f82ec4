import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, PluginHost } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { withStore } from './context.js'

/** A storage that writes down when it is closed. */
const PLUGIN = `
import { writeFile } from 'node:fs/promises'
export default {
  kind: 'storage',
  name: 'told',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    properties: { file: { type: 'string' }, slow: { type: 'boolean' } },
    additionalProperties: false,
  },
  describe: () => 'nowhere',
  open: async ({ file, slow }) => {
    if (slow) {
      await writeFile(file, 'opening')
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    return { capabilities: {}, close: () => writeFile(file, 'closed') }
  },
}
`

describe('withStore', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-context-'))
    const home = join(folder, 'node_modules/pbmkit-storage-told')
    await mkdir(home, { recursive: true })
    const description = { name: 'pbmkit-storage-told', version: '1.0.0', type: 'module', exports: './index.js' }
    await writeFile(join(home, 'package.json'), JSON.stringify(description))
    await writeFile(join(home, 'index.js'), PLUGIN)
  })
  afterEach(() => rm(folder, { recursive: true }))

  const log = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined }
  const contextOf = (file: string, signal: AbortSignal, slow = false) => ({
    host: new PluginHost({ resolveFrom: import.meta.url, pluginDir: folder }),
    config: { storage: { type: 'told', told: { file, slow } }, epoch: new Timestamp(0n) } satisfies Config,
    ...{ signal, log, self: { rs: 'rs0', node: 'localhost:27017' } },
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
    const running = withStore(contextOf(file, stop.signal, true), async () => {
      began = true
    })
    await Promise.race([until(file, 'opening'), running])
    stop.abort(new Error('cancelled'))
    await assert.rejects(running, /cancelled/)
    assert.equal(await readFile(file, 'utf8'), 'opening')
    await until(file, 'closed')
    assert.equal(began, false)
  })
})
