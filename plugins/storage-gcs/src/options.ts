import type { OptionsSchema } from '@pbmkit/core/plugin'
import { durationMs, maxObjectBytesOf, option } from '@pbmkit/core/plugin/kit'

/** `storage.gcs` (PBM: cli-and-config.md §3.2). */
export interface GcsOptions {
  readonly bucket: string
  readonly prefix?: string
  readonly credentials?: GcsCredentials
  /** Bytes of a request of an upload, rounded up to a multiple of 256 KiB. */
  readonly chunkSize?: number
  /** GiB; values under 1 are ignored, as in PBM. */
  readonly maxObjSizeGB?: number
  readonly retryer?: RetryerOptions
  /** Another server that speaks the JSON API (with HMAC keys, the XML API). Our own. */
  readonly endpointUrl?: string
}

export interface GcsCredentials {
  readonly clientEmail?: string
  readonly privateKey?: string
  readonly hmacAccessKey?: string
  readonly hmacSecret?: string
  readonly workloadIdentity?: boolean
}

/** Durations are texts such as `30ms`, or numbers of nanoseconds, as PBM keeps them; zero is the default. */
export interface RetryerOptions {
  readonly backoffInitial?: number | string
  readonly backoffMax?: number | string
  readonly backoffMultiplier?: number
  readonly maxAttempts?: number
  readonly chunkRetryDeadline?: number | string
}

const { text, secret } = option
const duration = (description: string) => option.duration(description, { mayBeEmpty: true })
const block = (properties: Readonly<Record<string, object>>, description: string) =>
  option.block(properties, { description })

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['bucket'],
  properties: {
    bucket: text('name of the bucket, which must exist', { minLength: 1, identity: true }),
    prefix: text('folder in the bucket; default: its root', { identity: true }),
    credentials: block(
      {
        clientEmail: secret('client_email of the key file of a service account'),
        privateKey: secret('private_key of that file; its line ends may be written as \\n'),
        hmacAccessKey: secret('access key of an HMAC key; wins where the secret is set too'),
        hmacSecret: secret('secret of that key'),
        workloadIdentity: {
          type: 'boolean',
          description: 'the identity of the machine or pod, where no service account is given; default false',
        },
      },
      'a service account, workloadIdentity, or an HMAC key, which wins when both of its fields are set',
    ),
    chunkSize: {
      type: 'integer',
      minimum: 0,
      description: 'bytes of a request of an upload, rounded up to a multiple of 256 KiB; default 16 MiB (PBM 10 MiB)',
    },
    maxObjSizeGB: option.maxObjectGib(5018),
    retryer: block(
      {
        backoffInitial: duration('wait before the second try, shortened at random by up to a half; default 1s'),
        backoffMax: duration('longest wait between tries; default 30s'),
        backoffMultiplier: { type: 'number', minimum: 0, description: 'how much longer each wait is; default 2' },
        maxAttempts: { type: 'integer', minimum: 0, description: 'tries of a request, the first included; default 5' },
        chunkRetryDeadline: duration('how long a chunk is tried again after its first failure; default 32s'),
      },
      'tries of requests that fail; what is 0 or absent has its default',
    ),
    clientType: text('http or grpc; kept for PBM 2.16, and without effect here'),
    parallelUploadConcurrency: {
      type: 'integer',
      minimum: 0,
      description: 'kept for PBM 2.16, and without effect here',
    },
    endpointUrl: text(
      'URL of another server with the same API, which is asked without credentials where none are given; default: Google; not in PBM',
      {
        pattern: '^(?:https?://.+)?$',
        identity: true,
      },
    ),
  },
}

const DEFAULT_MAX_OBJECT_GIB = 5018

export function maxObjectBytes(gib: number | undefined): number {
  return maxObjectBytesOf(gib, DEFAULT_MAX_OBJECT_GIB)
}

const CHUNK_ALIGNMENT = 256 * 1024
/** Larger than PBM's 10 MiB: each chunk waits for the server once more. */
const DEFAULT_CHUNK_BYTES = 16 * 1024 * 1024

/** GCS takes multiples of 256 KiB only. */
export function chunkBytes(configured: number | undefined): number {
  return Math.ceil((configured || DEFAULT_CHUNK_BYTES) / CHUNK_ALIGNMENT) * CHUNK_ALIGNMENT
}

export interface Retryer {
  readonly firstWaitMs: number
  readonly longestWaitMs: number
  readonly multiplier: number
  readonly attempts: number
  readonly chunkMs: number
}

/** With PBM's defaults. */
export function retryerOf({ retryer = {} }: GcsOptions): Retryer {
  return {
    firstWaitMs: durationMs(retryer.backoffInitial, 1_000),
    longestWaitMs: durationMs(retryer.backoffMax, 30_000),
    multiplier: retryer.backoffMultiplier || 2,
    attempts: retryer.maxAttempts || 5,
    chunkMs: durationMs(retryer.chunkRetryDeadline, 32_000),
  }
}
