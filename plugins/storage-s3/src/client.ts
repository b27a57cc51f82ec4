import { readFile } from 'node:fs/promises'
import { getCACertificates } from 'node:tls'
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { fromTokenFile } from '@aws-sdk/credential-provider-web-identity'
import { PluginError } from '@pbmkit/core/plugin'
import { durationMs, jittered, largeBufferHttpAgent, largeBufferHttpsAgent } from '@pbmkit/core/plugin/kit'
import { ConfiguredRetryStrategy } from '@smithy/core/retry'
import { DEFAULT_REGION, endpointOf, type S3Options } from './options.js'

const CONNECT_MS = 10_000
/** Without a byte in either direction; AWS sends some while it works on a long request. */
const IDLE_MS = 60_000
const MAX_SOCKETS = 64
/** As the SDK does without configuration. */
const DEFAULT_ATTEMPTS = 3
const BASE_DELAY_MS = 100

export interface Connection {
  readonly client: S3Client
  /** What the server last called itself in its `Server` header. */
  server(): string
  /** Closes every socket. */
  destroy(): void
}

/** Whether a web identity in the environment wins over configured keys, as with PBM's `s3`, or only fills in for them. */
export type CredentialOrder = 'web identity first' | 'keys first'

/** Makes the client; nothing is sent yet. Throws PluginError when `caFile` can't be used. */
export async function connect(
  options: S3Options,
  node: string | undefined,
  order: CredentialOrder = 'web identity first',
): Promise<Connection> {
  const pool = { keepAlive: true, maxSockets: MAX_SOCKETS }
  const httpAgent = largeBufferHttpAgent(pool)
  const httpsAgent = largeBufferHttpsAgent({
    ...pool,
    ...(options.caFile === undefined ? {} : { ca: await authorities(options.caFile) }),
    rejectUnauthorized: options.insecureSkipTLSVerify !== true,
  })
  const endpoint = endpointOf(options, node)
  const client = new S3Client({
    region: options.region || DEFAULT_REGION,
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: options.forcePathStyle ?? true,
    followRegionRedirects: true,
    // R2, B2 and older servers know none of the newer checksums; every body is covered by the signature's SHA-256.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { httpAgent, httpsAgent, connectionTimeout: CONNECT_MS, socketTimeout: IDLE_MS },
    retryStrategy: retryStrategy(options),
    ...credentials(options, order),
  })
  let server = ''
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const headers = (result.response as { headers?: Readonly<Record<string, string>> }).headers ?? {}
      server = headers.server ?? server
      const metadata = (result.output as { $metadata?: ServerDate }).$metadata
      if (metadata !== undefined && headers.date !== undefined) metadata.serverDate = new Date(headers.date)
      return result
    },
    // Around the deserializer, so that the headers and the output are both there.
    { step: 'deserialize', priority: 'high', name: 'pbmkitServerFacts' },
  )
  return {
    client,
    server: () => server,
    destroy: () => {
      client.destroy()
      httpAgent.destroy()
      httpsAgent.destroy()
    },
  }
}

interface ServerDate {
  serverDate?: Date
}

/** When the server answered, by its own clock; ours when it does not tell. */
export function answeredAt(output: { readonly $metadata: object }): Date {
  const { serverDate } = output.$metadata as ServerDate
  return serverDate !== undefined && !Number.isNaN(serverDate.getTime()) ? serverDate : new Date()
}

/**
 * A web identity that the environment gives, as for a pod in EKS; else keys where both are given (PBM:
 * cli-and-config.md §3.2); else whatever the SDK finds: the environment, a profile, …
 */
function credentials(options: S3Options, order: CredentialOrder): Pick<S3ClientConfig, 'credentials' | 'profile'> {
  const { AWS_ROLE_ARN: role, AWS_WEB_IDENTITY_TOKEN_FILE: token } = process.env
  if (order === 'web identity first' && role && token) return { credentials: fromTokenFile() }
  const given = options.credentials ?? {}
  const { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey, 'session-token': sessionToken } = given
  if (accessKeyId && secretAccessKey) {
    return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } }
  }
  return given.profile ? { profile: given.profile } : {}
}

function retryStrategy({ retryer }: S3Options): ConfiguredRetryStrategy {
  const least = retryer === undefined ? 0 : durationMs(retryer.minRetryDelay, 30)
  const most = retryer === undefined ? 20_000 : durationMs(retryer.maxRetryDelay, 300_000)
  const attempts = retryer === undefined ? DEFAULT_ATTEMPTS : (retryer.numMaxRetries ?? 0) + 1
  return new ConfiguredRetryStrategy(attempts, (attempt) => jittered(attempt, BASE_DELAY_MS, least, most))
}

async function authorities(caFile: string): Promise<string[]> {
  let own: string
  try {
    own = await readFile(caFile, 'utf8')
  } catch (cause) {
    const text = `storage.s3.caFile ${caFile} can't be read: ${(cause as Error).message}`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { cause, retriable: false })
  }
  if (!own.includes('-----BEGIN CERTIFICATE-----')) {
    const text = `storage.s3.caFile ${caFile} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { retriable: false })
  }
  return [...getCACertificates('default'), own]
}
