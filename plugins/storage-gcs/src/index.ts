import { type ObjectStore, type PluginContext, PluginError, type StoragePlugin } from '@pbmkit/core/plugin'
import { shownPlace } from '@pbmkit/core/plugin/kit'
import { connect } from './client.js'
import { translated } from './errors.js'
import { openWithHmac } from './hmac.js'
import { type GcsOptions, optionsSchema } from './options.js'
import { gcsStore } from './store.js'

export type { GcsOptions } from './options.js'

/** Keeps backups in a bucket of Google Cloud Storage. */
const gcs: StoragePlugin<GcsOptions> = { kind: 'storage', name: 'gcs', apiVersion: 1, optionsSchema, open, describe }

export default gcs

function describe({ bucket, prefix, endpointUrl }: GcsOptions): string {
  return `gs://${shownPlace(bucket, prefix)}${endpointUrl ? ` at ${endpointUrl}` : ''}`
}

async function open(options: GcsOptions, context: PluginContext): Promise<ObjectStore> {
  const { hmacAccessKey, hmacSecret } = options.credentials ?? {}
  if (hmacAccessKey && hmacSecret) return openWithHmac(options, { hmacAccessKey, hmacSecret }, context)
  const client = connect(options)
  const shown = describe({ ...options, endpointUrl: '' })
  try {
    await untilAborted(context.signal, client.bucket.getFiles({ autoPaginate: false, maxResults: 1 }))
    return gcsStore(options, context, client, shown)
  } catch (error) {
    const scene = { doing: `opening ${shown}`, bucket: options.bucket, endpoint: client.endpoint }
    const told = translated(error, scene)
    // A bucket is all that can be missing here.
    if (told.code !== 'STORAGE_NOT_FOUND') throw told
    const text = `opening ${shown}: there is no bucket ${options.bucket}; create it, or mend storage.gcs.bucket`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { cause: told.cause, retriable: false })
  }
}

function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => reject(new PluginError('STORAGE_ABORTED', 'opening was aborted', { cause: signal.reason }))
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', end))
  })
}
