import { type ObjectStore, type PluginContext, PluginError } from '@pbmkit/core/plugin'
import { shownPlace } from '@pbmkit/core/plugin/kit'
import { type CredentialOrder, connect } from './client.js'
import { tellRequests } from './debug-log.js'
import { translated } from './errors.js'
import { endpointOf, type S3Options, unknownLogLevels } from './options.js'
import { encryptionParameters, ignoredEncryption } from './sse.js'
import { probe, s3Store } from './store.js'

export function describe({ bucket, prefix, endpointUrl }: S3Options): string {
  return `s3://${shownPlace(bucket, prefix)}${endpointUrl ? ` at ${endpointUrl}` : ''}`
}

const warned = new Set<string>()

/** Of a configuration: an agent opens a storage that is unwell every few seconds, and its log is everybody's. */
function warnOnce(text: string, context: PluginContext): void {
  if (warned.has(text)) return
  warned.add(text)
  context.warn(text)
}

export async function openS3(
  options: S3Options,
  context: PluginContext,
  order: CredentialOrder = 'web identity first',
): Promise<ObjectStore> {
  const unknown = unknownLogLevels(options.debugLogLevels)
  if (unknown.length > 0) context.warn(`storage.s3.debugLogLevels: there is no level ${unknown.join(', ')}`)
  if (options.insecureSkipTLSVerify === true) {
    context.warn('storage.s3.insecureSkipTLSVerify is true: anybody on the way can pose as the server')
  }
  const { 'access-key-id': key, 'secret-access-key': secret } = options.credentials ?? {}
  if (Boolean(key) !== Boolean(secret)) {
    const text = `storage.s3.credentials needs access-key-id and secret-access-key, or none of them; ${key ? 'secret-access-key' : 'access-key-id'} is missing`
    throw new PluginError('STORAGE_DENIED', text)
  }
  encryptionParameters(options.serverSideEncryption)
  const ignored = ignoredEncryption(options.serverSideEncryption)
  if (ignored !== undefined) warnOnce(`${describe(options)}: ${ignored}`, context)
  const connection = await connect(options, context.node, order)
  tellRequests(connection.client, options.debugLogLevels, (text) => context.debug?.(text))
  const place = describe({ ...options, endpointUrl: '' })
  try {
    await probe({ client: connection.client, bucket: options.bucket }, context.signal)
    return s3Store(options, context, connection, place)
  } catch (error) {
    connection.destroy()
    if (context.signal.aborted) {
      throw new PluginError('STORAGE_ABORTED', 'opening was aborted', { cause: context.signal.reason })
    }
    const endpoint = endpointOf(options, context.node) ?? 'AWS S3'
    throw translated(error, { doing: `opening ${place}`, bucket: options.bucket, endpoint })
  }
}
