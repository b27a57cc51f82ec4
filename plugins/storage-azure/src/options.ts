import type { OptionsSchema } from '@pbmkit/core/plugin'
import { maxObjectBytesOf, option } from '@pbmkit/core/plugin/kit'

/** `storage.azure` (PBM: cli-and-config.md §3.2). */
export interface AzureOptions {
  readonly account: string
  readonly container: string
  readonly prefix?: string
  readonly endpointUrl?: string
  /** By `host:port` of the mongod an agent serves; an entry wins over `endpointUrl`. */
  readonly endpointUrlMap?: Readonly<Record<string, string>>
  readonly credentials?: {
    readonly key?: string
    /** Shared access signature, with or without the `?` at its front. Our own. */
    readonly sasToken?: string
  }
  readonly retryer?: RetryerOptions
  /** GiB; values under 1 are ignored, as in PBM. */
  readonly maxObjSizeGB?: number
}

export interface RetryerOptions {
  readonly numMaxRetries?: number
  /** Milliseconds, nanoseconds (PBM keeps a Go duration as a number of those) or a text such as `800ms`. */
  readonly minRetryDelay?: number | string
  readonly maxRetryDelay?: number | string
}

const { text, secret } = option
const duration = (description: string) => option.duration(description, { example: '800ms' })
const block = (properties: Readonly<Record<string, object>>, description: string) =>
  option.block(properties, { description })

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['account', 'container'],
  properties: {
    account: text('name of the storage account', { minLength: 1, identity: true }),
    container: text('name of the container, which must exist', { minLength: 1, identity: true }),
    prefix: text('folder in the container; default: its root', { identity: true }),
    endpointUrl: text(
      'URL of the blob service, for another cloud, a private endpoint or Azurite; default: that of the account in the public cloud',
      {
        pattern: '^(?:https?://.+)?$',
        identity: true,
      },
    ),
    endpointUrlMap: {
      type: 'object',
      additionalProperties: { type: 'string', pattern: '^https?://.+' },
      identity: true,
      description: 'URL of the blob service by host:port of the mongod an agent serves; an entry wins over endpointUrl',
    },
    credentials: block(
      {
        key: secret('key of the storage account'),
        sasToken: secret('shared access signature of the account or the container, where no key is given; not in PBM'),
      },
      'where none are given: the default identity, as the Azure SDK finds it: environment, workload or managed identity, az login',
    ),
    retryer: block(
      {
        numMaxRetries: {
          type: 'integer',
          minimum: 0,
          description: 'tries of a request after the first; default 3, also for 0',
        },
        minRetryDelay: duration('shortest wait before another try; default 800ms, also for 0'),
        maxRetryDelay: duration('longest wait before another try; default 60s, also for 0'),
      },
      'tries of a request after the first',
    ),
    maxObjSizeGB: option.maxObjectGib(194560),
  },
}

const DEFAULT_MAX_OBJECT_GIB = 194_560

export function maxObjectBytes(gib: number | undefined): number {
  return maxObjectBytesOf(gib, DEFAULT_MAX_OBJECT_GIB)
}

/** The URL of the blob service, without a slash at its end. */
export function endpointOf(options: AzureOptions, node: string | undefined): string {
  const mapped = node === undefined ? undefined : options.endpointUrlMap?.[node]
  const url = mapped || options.endpointUrl || `https://${options.account}.blob.core.windows.net`
  return url.replace(/\/+$/, '')
}
