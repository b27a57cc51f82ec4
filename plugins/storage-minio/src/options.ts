import type { OptionsSchema } from '@pbmkit/core/plugin'
import { option } from '@pbmkit/core/plugin/kit'

/** `storage.minio` (PBM: cli-and-config.md §3.2). */
export interface MinioOptions {
  /** `host:port`. */
  readonly endpoint: string
  /** By `host:port` of the mongod an agent serves; an entry wins over `endpoint`. */
  readonly endpointMap?: Readonly<Record<string, string>>
  readonly region?: string
  readonly bucket: string
  readonly prefix?: string
  readonly credentials?: {
    readonly 'access-key-id'?: string
    readonly 'secret-access-key'?: string
    readonly 'session-token'?: string
    readonly 'signature-ver'?: string
  }
  readonly secure?: boolean
  readonly insecureSkipTLSVerify?: boolean
  readonly forcePathStyle?: boolean
  readonly debugTrace?: boolean
  /** Bytes. */
  readonly partSize?: number
  /** GiB; values under 1 are ignored, as in PBM. */
  readonly maxObjSizeGB?: number
  readonly retryer?: { readonly numMaxRetries?: number }
  /** PEM file of certificate authorities, trusted beside those of Node. Our own. */
  readonly caFile?: string
}

const { text, secret, flag, count, block } = option

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['endpoint', 'bucket'],
  properties: {
    endpoint: text('host:port of the server, without http://', { minLength: 1, identity: true }),
    endpointMap: {
      type: 'object',
      additionalProperties: { type: 'string' },
      identity: true,
      description: 'host:port of the server by host:port of the mongod an agent serves; an entry wins over endpoint',
    },
    region: text('region of the bucket; default us-east-1', { identity: true }),
    bucket: text('name of the bucket, which must exist', { minLength: 1, identity: true }),
    prefix: text('folder in the bucket; default: its root', { identity: true }),
    credentials: block({
      'access-key-id': secret('access key'),
      'secret-access-key': secret('secret of the access key'),
      'session-token': secret('token of temporary credentials'),
      'signature-ver': text('V4 or V2; signed is by V4 always, and V2 gives a warning'),
    }),
    secure: flag('speak TLS; default false'),
    insecureSkipTLSVerify: flag('trust any certificate of the server; default false'),
    caFile: text('PEM file of certificate authorities to trust beside the usual ones, on every node; not in PBM', {
      localFile: true,
    }),
    forcePathStyle: flag('bucket in the path (true) or in the host name (false); default true'),
    debugTrace: flag("put a line for each request and answer into the agent's log at level D; default false"),
    partSize: count('bytes of a part, at least 5 MiB; grows where an object would need too many; default 10 MiB'),
    maxObjSizeGB: option.maxObjectGib(5018),
    retryer: block({
      numMaxRetries: count('tries of a request, the first included; default 10, also for 0'),
    }),
  },
}
