import type { DefaultAzureCredential } from '@azure/identity'
import {
  AnonymousCredential,
  BlobServiceClient,
  type ContainerClient,
  newPipeline,
  type RequestPolicyFactory,
  StorageRetryPolicyType,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { PluginError } from '@pbmkit/core/plugin'
import { durationMs, largeBufferHttpAgent, largeBufferHttpsAgent } from '@pbmkit/core/plugin/kit'
import { type AzureOptions, endpointOf } from './options.js'

const DEFAULT_RETRIES = 3
const MIN_DELAY_MS = 800
const MAX_DELAY_MS = 60_000

/** Without a byte in either direction: the SDK itself would wait forever on a connection that died in silence. */
const IDLE_MS = 120_000

/** Has requests made by agents of ours, but for those that go through a proxy. */
export function largeBufferRequests(idleMs: number): RequestPolicyFactory {
  const plainAgent = largeBufferHttpAgent({ keepAlive: true, timeout: idleMs })
  const tlsAgent = largeBufferHttpsAgent({ keepAlive: true, timeout: idleMs })
  return {
    create: (next) => ({
      sendRequest: (request) => {
        request.agent ??= request.url.startsWith('https:') ? tlsAgent : plainAgent
        return next.sendRequest(request)
      },
    }),
  }
}

/** Shared by all stores of this process. */
const REQUESTS = largeBufferRequests(IDLE_MS)

export async function connect(
  options: AzureOptions,
  node: string | undefined,
  requests = REQUESTS,
): Promise<ContainerClient> {
  const endpoint = endpointOf(options, node)
  const { key, sasToken } = options.credentials ?? {}
  const { retryer = {} } = options
  const client = (
    url: string,
    credential: StorageSharedKeyCredential | AnonymousCredential | DefaultAzureCredential,
  ) => {
    const pipeline = newPipeline(credential, {
      retryOptions: {
        retryPolicyType: StorageRetryPolicyType.EXPONENTIAL,
        maxTries: (retryer.numMaxRetries || DEFAULT_RETRIES) + 1,
        retryDelayInMs: durationMs(retryer.minRetryDelay, MIN_DELAY_MS),
        maxRetryDelayInMs: durationMs(retryer.maxRetryDelay, MAX_DELAY_MS),
      },
      userAgentOptions: { userAgentPrefix: 'pbmkit' },
    })
    pipeline.factories.push(requests)
    return new BlobServiceClient(url, pipeline).getContainerClient(options.container)
  }
  if (key) return client(endpoint, new StorageSharedKeyCredential(options.account, sharedKey(key)))
  if (sasToken) return client(`${endpoint}?${sasToken.replace(/^\?/, '')}`, new AnonymousCredential())
  if (!endpoint.startsWith('https:')) {
    const text = `${endpoint} is not https, where the default identity is not sent; set storage.azure.credentials.key or sasToken`
    throw new PluginError('STORAGE_DENIED', text)
  }
  // It is large, and needed by nobody who has a key.
  const identity = await import('@azure/identity')
  return client(endpoint, new identity.DefaultAzureCredential())
}

/** Anything else would be decoded to some other key in silence, and refused by the service without a reason. */
function sharedKey(key: string): string {
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(key) && key.length % 4 === 0) return key
  throw new PluginError('STORAGE_DENIED', 'storage.azure.credentials.key is no account key: those are base64')
}
