import { randomUUID } from 'node:crypto'
import { type FakeGcs, type FakeGcsOptions, findFakeGcs, orSkip, startFakeGcs } from '@pbmkit/conformance/testbed'
import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import plugin, { type GcsOptions } from './index.js'

/** A fake-gcs-server for the tests of one file. */
export class TestServer {
  readonly #opened: ObjectStore[] = []
  #server: FakeGcs | undefined

  /** Starts it; where none can be had, the tests of this `describe` are skipped and say why. */
  async start(test: Mocha.Context, options: FakeGcsOptions = {}): Promise<void> {
    // Building it takes some minutes, the first time.
    test.timeout(45 * 60_000)
    await orSkip(test, () => findFakeGcs({ onProgress: console.error }))
    this.#server = await startFakeGcs(options)
  }

  get server(): FakeGcs {
    if (this.#server === undefined) throw new Error('fake-gcs-server is not started')
    return this.#server
  }

  /** Options of a new bucket of its own. */
  async bucket(more: Partial<GcsOptions> = {}): Promise<GcsOptions> {
    const bucket = `test-${randomUUID()}`
    await this.server.createBucket(bucket)
    return { bucket, endpointUrl: this.server.endpoint, ...more }
  }

  async open(options: GcsOptions, context: Partial<PluginContext> = {}): Promise<ObjectStore> {
    const standard = { signal: new AbortController().signal, warn: () => undefined }
    const store = await plugin.open(options, { ...standard, ...context })
    this.#opened.push(store)
    return store
  }

  async closeStores(): Promise<void> {
    for (const store of this.#opened.splice(0)) await store.close()
  }

  async stop(): Promise<void> {
    await this.closeStores()
    await this.#server?.stop()
  }
}
