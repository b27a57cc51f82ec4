import type { OptionsSchema } from '@pbmkit/core/plugin'
import { maxObjectBytesOf, option } from '@pbmkit/core/plugin/kit'

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

const { text, secret, duration, block } = option

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['bucket'],
  properties: {
    bucket: text('name of the bucket, which must exist', { minLength: 1, identity: true }),
    prefix: text('folder in the bucket; default: its root', { identity: true }),
    region: text('region of the bucket; default us-east-1', { identity: true }),
    endpointUrl: text('URL of the server, with http:// or https://; default: AWS', {
      pattern: '^(?:https?://.+)?$',
      identity: true,
    }),
    endpointUrlMap: {
      type: 'object',
      additionalProperties: { type: 'string', pattern: '^https?://.+' },
      identity: true,
      description: 'URL of the server by host:port of the mongod an agent serves; an entry wins over endpointUrl',
    },
    forcePathStyle: {
      type: 'boolean',
      description: 'bucket in the path (true) or in the host name (false); default true',
    },
    credentials: block(
      {
        'access-key-id': secret('access key; used where the secret is set too'),
        'secret-access-key': secret('secret of the access key'),
        'session-token': secret('token of temporary credentials'),
        profile: text('profile of the AWS files to take keys or a role from, where no keys are given; not in PBM'),
        vault: block({
          server: text('read and not used, as in PBM'),
          secret: secret('read and not used, as in PBM'),
          token: secret('read and not used, as in PBM'),
        }),
      },
      {
        description:
          'where none are given: environment, profile, web identity, role of the machine, as the AWS SDK finds them',
      },
    ),
    storageClass: text('storage class of new objects, such as STANDARD_IA; default: that of the bucket'),
    serverSideEncryption: block({
      sseAlgorithm: text('AES256 or aws:kms; anything else is ignored, as in PBM, with a warning'),
      kmsKeyID: text('key for aws:kms; default: the default key; ignored with a warning where sseAlgorithm is not set'),
      sseCustomerAlgorithm: text('AES256, for a key of your own; ignored where sseAlgorithm is set'),
      sseCustomerKey: secret('that key: base64 of 32 bytes (openssl rand -base64 32); without it nothing can be read'),
    }),
    insecureSkipTLSVerify: { type: 'boolean', description: 'trust any certificate of the server; default false' },
    caFile: text('PEM file of certificate authorities to trust beside the usual ones, on every node; not in PBM', {
      localFile: true,
    }),
    uploadPartSize: {
      type: 'integer',
      minimum: 0,
      description: 'bytes of a part, at least 5 MiB; grows where an object would need too many; default 10 MiB',
    },
    maxUploadParts: { type: 'integer', minimum: 0, description: 'parts of an upload at the most; default 10000' },
    maxObjSizeGB: option.maxObjectGib(5018),
    retryer: block({
      numMaxRetries: {
        type: 'integer',
        minimum: 0,
        description: 'tries of a request after the first; default 2, in a retryer block 0',
      },
      minRetryDelay: duration('shortest wait before another try; default 30ms'),
      maxRetryDelay: duration('longest wait before another try; default 5m'),
    }),
    debugLogLevels: text(
      "comma list of PBM's levels. Request, Response, Retries and Signing each put a line into the agent's log at level D, never bodies; others are known or give a warning",
    ),
    conditionalWrites: {
      type: 'boolean',
      description: 'whether the server keeps If-None-Match on writes; default: known of AWS and MinIO; not in PBM',
    },
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
