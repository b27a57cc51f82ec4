import { randomUUID } from 'node:crypto'
import { BlobServiceClient, type ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import { type Azurite, findAzurite, orSkip, startAzurite } from '@pbmkit/conformance/testbed'
import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import plugin, { type AzureOptions } from './index.js'

/** An Azurite for the tests of one file. */
export class TestServer {
  readonly #opened: ObjectStore[] = []
  #azurite: Azurite | undefined

  /** Starts it; where none can be had, the tests of this `describe` are skipped and say why. */
  async start(test: Mocha.Context): Promise<void> {
    // Installing it takes a minute or more, the first time.
    test.timeout(25 * 60_000)
    await orSkip(test, () => findAzurite({ onProgress: console.error }))
    this.#azurite = await startAzurite()
  }

  get azurite(): Azurite {
    if (this.#azurite === undefined) throw new Error('Azurite is not started')
    return this.#azurite
  }

  /** With the account's key, without the plugin between. */
  admin(container: string): ContainerClient {
    const { account, key, endpoint } = this.azurite
    return new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, key)).getContainerClient(container)
  }

  /** Options of a new container of its own. */
  async container(more: Partial<AzureOptions> = {}): Promise<AzureOptions> {
    const { account, key, endpoint } = this.azurite
    const container = `test-${randomUUID()}`
    await this.admin(container).create()
    return { account, container, endpointUrl: endpoint, credentials: { key }, ...more }
  }

  async open(options: AzureOptions, context: Partial<PluginContext> = {}): Promise<ObjectStore> {
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
    await this.#azurite?.stop()
  }
}
