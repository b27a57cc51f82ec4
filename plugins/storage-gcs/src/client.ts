import { createPrivateKey } from 'node:crypto'
import { type Bucket, IdempotencyStrategy, Storage } from '@google-cloud/storage'
import { PluginError } from '@pbmkit/core/plugin'
import { JWT } from 'google-auth-library'
import { type GcsOptions, type Retryer, retryerOf } from './options.js'

export const GOOGLE = 'https://storage.googleapis.com'
/** Of requests that move no bytes (milliseconds). */
const TIMEOUT_MS = 60_000

/** Google's library for everything but the bytes of objects: its streams can't be ended at once. */
export interface Client {
  readonly bucket: Bucket
  readonly endpoint: string
  readonly retryer: Retryer
  /** The account's token, as headers. */
  authorization(url: string): Promise<Readonly<Record<string, string>>>
  /** A request with the account's token; answers of any status are given back. */
  request(path: string, init: RequestInit): Promise<Response>
}

/** Nothing is sent yet. Throws STORAGE_DENIED where the credentials are none. */
export function connect(options: GcsOptions): Client {
  const endpoint = (options.endpointUrl || GOOGLE).replace(/\/+$/, '')
  const retryer = retryerOf(options)
  const anonymous = credentialsOf(options) === undefined && options.credentials?.workloadIdentity !== true
  if (anonymous && endpoint === GOOGLE) {
    const text =
      'storage.gcs.credentials needs clientEmail and privateKey, or workloadIdentity: true for the identity of the machine'
    throw new PluginError('STORAGE_DENIED', text)
  }
  const credentials = credentialsOf(options)
  const storage = new Storage({
    apiEndpoint: endpoint,
    useAuthWithCustomEndpoint: !anonymous,
    ...(credentials === undefined ? {} : { authClient: accountOf(credentials) }),
    // It is asked for nothing, and looked for in the network otherwise.
    projectId: 'pbmkit',
    timeout: TIMEOUT_MS,
    retryOptions: {
      autoRetry: retryer.attempts > 1,
      maxRetries: retryer.attempts - 1,
      retryDelayMultiplier: retryer.multiplier,
      // In seconds; the library begins with one, and takes no less for the longest.
      maxRetryDelay: Math.max(1, retryer.longestWaitMs / 1000),
      // All of ours can be sent again: what they do twice is the same.
      idempotencyStrategy: IdempotencyStrategy.RetryAlways,
    },
  })
  const authorization = async (url: string) =>
    anonymous ? {} : Object.fromEntries(new Headers(await storage.authClient.getRequestHeaders(url)))
  return {
    bucket: storage.bucket(options.bucket),
    endpoint,
    retryer,
    authorization,
    request: async (path, init) => {
      const url = path.startsWith('http') ? path : endpoint + path
      const headers = new Headers(init.headers)
      for (const [name, value] of Object.entries(await authorization(url))) headers.set(name, value)
      return fetch(url, { ...init, headers, redirect: 'manual' })
    },
  }
}

/** Signs its requests' tokens itself, as PBM's client does: the token service of Google need not be reached. */
function accountOf({ client_email: email, private_key: key }: { client_email: string; private_key: string }): JWT {
  const account = new JWT({ email, key, scopes: ['https://www.googleapis.com/auth/devstorage.read_write'] })
  account.useJWTAccessWithScope = true
  return account
}

function credentialsOf({ credentials = {} }: GcsOptions): { client_email: string; private_key: string } | undefined {
  const { clientEmail, privateKey } = credentials
  if (Boolean(clientEmail) !== Boolean(privateKey)) {
    const missing = clientEmail ? 'privateKey' : 'clientEmail'
    throw new PluginError('STORAGE_DENIED', `storage.gcs.credentials.${missing} is missing: both or none are needed`)
  }
  if (!clientEmail || !privateKey) return undefined
  // As it stands in the key file, copied without being decoded.
  const key = privateKey.replaceAll('\\n', '\n')
  try {
    createPrivateKey(key)
  } catch {
    const text =
      'storage.gcs.credentials.privateKey is no private key; copy the whole private_key of the key file, from -----BEGIN to -----END'
    throw new PluginError('STORAGE_DENIED', text)
  }
  return { client_email: clientEmail, private_key: key }
}
