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
  optionsSchema: { type: 'object', properties: { file: { type: 'string' } }, additionalProperties: false },
  describe: () => 'nowhere',
  open: async ({ file }) => ({ capabilities: {}, close: () => writeFile(file, 'closed') }),
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

  it('closes the storage however the operation ends, also before it has begun', async () => {
    const host = new PluginHost({ resolveFrom: import.meta.url, pluginDir: folder })
    const log = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined }
    const self = { rs: 'rs0', node: 'localhost:27017' }
    const ends: [AbortSignal, () => Promise<string>, RegExp | undefined][] = [
      [new AbortController().signal, async () => 'done', undefined],
      [new AbortController().signal, () => Promise.reject(new Error('the work says so')), /the work says so/],
      [AbortSignal.abort(new Error('cancelled')), async () => 'never', /cancelled/],
    ]
    for (const [index, [signal, work, expected]] of ends.entries()) {
      const file = join(folder, `closed-${index}`)
      const config: Config = { storage: { type: 'told', told: { file } }, epoch: new Timestamp(0n) }
      const running = withStore({ host, config, signal, log, self }, work)
      if (expected === undefined) assert.equal(await running, 'done')
      else await assert.rejects(running, expected)
      assert.equal(await readFile(file, 'utf8'), 'closed')
    }
  })
})
