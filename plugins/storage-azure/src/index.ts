import { type ObjectStore, type PluginContext, PluginError, type StoragePlugin } from '@pbmkit/core/plugin'
import { shownPlace } from '@pbmkit/core/plugin/kit'
import { connect } from './client.js'
import { translated } from './errors.js'
import { type AzureOptions, optionsSchema } from './options.js'
import { sceneOf } from './scene.js'
import { azureStore } from './store.js'

export type { AzureOptions } from './options.js'

/** Keeps backups in a container of Azure Blob Storage. */
const azure: StoragePlugin<AzureOptions> = {
  kind: 'storage',
  name: 'azure',
  apiVersion: 1,
  optionsSchema,
  open,
  describe,
}

export default azure

function describe({ account, container, prefix, endpointUrl }: AzureOptions): string {
  return `azure://${account}/${shownPlace(container, prefix)}${endpointUrl ? ` at ${endpointUrl}` : ''}`
}

async function open(options: AzureOptions, context: PluginContext): Promise<ObjectStore> {
  const shown = describe({ ...options, endpointUrl: '' })
  try {
    const container = await connect(options, context.node)
    // The cheapest request whose errors tell what is wrong.
    await container.listBlobsFlat({ abortSignal: context.signal }).byPage({ maxPageSize: 1 }).next()
    return azureStore(container, options, context, shown)
  } catch (error) {
    if (context.signal.aborted) {
      throw new PluginError('STORAGE_ABORTED', 'opening was aborted', { cause: context.signal.reason })
    }
    // So the library stumbles over a page where it looks for a list.
    const cause =
      error instanceof TypeError
        ? Object.assign(new Error(error.message, { cause: error }), { name: 'NotAzure' })
        : error
    throw translated(cause, sceneOf(options, context, `opening ${shown}`))
  }
}
