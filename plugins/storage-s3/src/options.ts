import type { OptionsSchema } from '@pbmkit/core/plugin'
import { maxObjectBytesOf } from '@pbmkit/core/plugin/kit'

/** `storage.s3` (PBM: cli-and-config.md §3.2). */
export interface S3Options {
  readonly bucket: string
  readonly prefix?: string
  readonly region?: string
  readonly endpointUrl?: string
  /** By `host:port` of the mongod an agent serves; an entry wins over `endpointUrl`. */
  readonly endpointUrlMap?: Readonly<Record<string, string>>
  readonly forcePathStyle?: boolean
  readonly credentials?: S3Credentials
  readonly storageClass?: string
  readonly serverSideEncryption?: ServerSideEncryption
  readonly insecureSkipTLSVerify?: boolean
  /** PEM file of certificate authorities, trusted beside those of Node. Our own. */
  readonly caFile?: string
  /** Bytes. */
  readonly uploadPartSize?: number
  readonly maxUploadParts?: number
  /** GiB; values under 1 are ignored, as in PBM. */
  readonly maxObjSizeGB?: number
  readonly retryer?: RetryerOptions
  readonly debugLogLevels?: string
  /** Whether the server keeps `If-None-Match: *`, where that can't be known from its name. Our own. */
  readonly conditionalWrites?: boolean
}

export interface S3Credentials {
  readonly 'access-key-id'?: string
  readonly 'secret-access-key'?: string
  readonly 'session-token'?: string
  /** Of the shared files of AWS (`~/.aws/config`, `~/.aws/credentials`). Our own. */
  readonly profile?: string
  /** Read, used nowhere, as in PBM. */
  readonly vault?: { readonly server?: string; readonly secret?: string; readonly token?: string }
}

export interface ServerSideEncryption {
  readonly sseAlgorithm?: string
  readonly kmsKeyID?: string
  readonly sseCustomerAlgorithm?: string
  /** Base64 of 32 bytes. */
  readonly sseCustomerKey?: string
}

export interface RetryerOptions {
  readonly numMaxRetries?: number
  /** Milliseconds, nanoseconds (PBM keeps a Go duration as a number of those) or a text such as `30ms`. */
  readonly minRetryDelay?: number | string
  readonly maxRetryDelay?: number | string
}

const text = (description: string, more: object = {}) => ({ type: 'string', description, ...more })
const secret = (description: string) => text(description, { writeOnly: true })
const duration = (description: string) => ({
  type: ['string', 'integer'],
  pattern: '^(?:\\d+(?:\\.\\d+)?(?:ns|us|µs|ms|s|m|h))+$',
  minimum: 0,
  description: `${description}: 30ms, 1.5s, 5m; a bare number counts nanoseconds`,
})
const block = (properties: Readonly<Record<string, object>>, more: object = {}) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...more,
})

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['bucket'],
  properties: {
    bucket: text('name of the bucket, which must exist', { minLength: 1, identity: true }),
    prefix: text('folder in the bucket; empty: its root', { identity: true }),
    region: text('region of the bucket; us-east-1 by default', { identity: true }),
    endpointUrl: text('URL of the server; empty: AWS', { pattern: '^(?:https?://.+)?$', identity: true }),
    endpointUrlMap: {
      type: 'object',
      additionalProperties: { type: 'string', pattern: '^https?://.+' },
      identity: true,
      description: 'URL of the server by host:port of the mongod an agent serves',
    },
    forcePathStyle: { type: 'boolean', description: 'bucket in the path (true, the default) or in the host name' },
    credentials: block(
      {
        'access-key-id': secret('access key'),
        'secret-access-key': secret('secret of the access key'),
        'session-token': secret('token of temporary credentials'),
        profile: text('profile of the shared AWS files, where no keys are given'),
        vault: block({
          server: text('read and not used, as in PBM'),
          secret: secret('read and not used, as in PBM'),
          token: secret('read and not used, as in PBM'),
        }),
      },
      { description: 'none: environment, profile, web identity, role of the machine, as the AWS SDK finds them' },
    ),
    storageClass: text('storage class of new objects, such as STANDARD_IA'),
    serverSideEncryption: block({
      sseAlgorithm: text('AES256, or aws:kms with kmsKeyID'),
      kmsKeyID: text('key of the KMS'),
      sseCustomerAlgorithm: text('AES256, with sseCustomerKey; consulted where sseAlgorithm is not set'),
      sseCustomerKey: secret('customer key: base64 of 32 bytes'),
    }),
    insecureSkipTLSVerify: { type: 'boolean', description: 'trust any certificate of the server' },
    caFile: { ...text('PEM file of certificate authorities to trust, on every node'), localFile: true },
    uploadPartSize: { type: 'integer', minimum: 0, description: 'bytes of a part, at least 5 MiB; 10 MiB by default' },
    maxUploadParts: { type: 'integer', minimum: 0, description: 'parts of an upload at the most; 10000 by default' },
    maxObjSizeGB: { type: 'number', minimum: 0, description: 'size in GiB above which objects are split' },
    retryer: block({
      numMaxRetries: { type: 'integer', minimum: 0, description: 'tries after the first' },
      minRetryDelay: duration('shortest wait before another try'),
      maxRetryDelay: duration('longest wait before another try'),
    }),
    debugLogLevels: text("comma list of PBM's levels: what the log tells of requests; never bodies"),
    conditionalWrites: { type: 'boolean', description: 'whether the server keeps If-None-Match on writes' },
  },
}

const DEFAULT_MAX_OBJECT_GIB = 5018

export function maxObjectBytes(gib: number | undefined): number {
  return maxObjectBytesOf(gib, DEFAULT_MAX_OBJECT_GIB)
}

/** The URL to talk to; `undefined`: AWS's own of the region. */
export function endpointOf(options: S3Options, node: string | undefined): string | undefined {
  const mapped = node === undefined ? undefined : options.endpointUrlMap?.[node]
  return mapped || options.endpointUrl || undefined
}

export const DEFAULT_REGION = 'us-east-1'

const LOG_LEVELS = new Set([
  ...['Signing', 'Retries', 'Request', 'RequestWithBody', 'Response', 'ResponseWithBody', 'DeprecatedUsage'],
  ...['RequestEventMessage', 'ResponseEventMessage'],
  ...['LogDebug', 'HTTPBody', 'RequestRetries', 'RequestErrors', 'EventStreamBody'],
])

/** The levels that PBM does not know. */
export function unknownLogLevels(levels: string | undefined): string[] {
  return (levels ?? '')
    .split(',')
    .map((level) => level.trim())
    .filter((level) => level !== '' && !LOG_LEVELS.has(level))
}
