import type { OptionsSchema } from '@pbmkit/core/plugin'
import { option } from '@pbmkit/core/plugin/kit'

/** `storage.oci`, with PBM's keys and the few that its S3 interface needs. */
export interface OciOptions {
  readonly region: string
  readonly namespace: string
  readonly bucket: string
  readonly prefix?: string
  readonly credentials?: {
    readonly type?: string
    readonly userPrincipal?: {
      readonly tenancy?: string
      readonly user?: string
      readonly fingerprint?: string
      readonly privateKey?: string
      readonly privateKeyPassphrase?: string
    }
    /** Of a Customer Secret Key. Our own. */
    readonly accessKeyId?: string
    readonly secretAccessKey?: string
  }
  readonly retryer?: { readonly maxAttempts?: number; readonly maxBackoff?: number | string }
  readonly serverSideEncryption?: { readonly kmsKeyID?: string; readonly sseCustomerKey?: string }
  /** Bytes. */
  readonly uploadPartSize?: number
  readonly uploadConcurrency?: number
  /** GiB; values under 1 are ignored, as in PBM. */
  readonly maxObjSizeGB?: number
  /** Our own. */
  readonly endpointUrl?: string
}

const { text, secret, count, block } = option

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['region', 'namespace', 'bucket'],
  properties: {
    region: text('region of the bucket, such as eu-frankfurt-1', { minLength: 1, identity: true }),
    namespace: text('namespace of the tenancy', { minLength: 1, identity: true }),
    bucket: text('name of the bucket, which must exist', { minLength: 1, identity: true }),
    prefix: text('folder in the bucket; default: its root', { identity: true }),
    credentials: block({
      accessKeyId: secret('access key of a Customer Secret Key, which the S3 interface needs; not in PBM'),
      secretAccessKey: secret('secret of that key; not in PBM'),
      type: text('kept for PBM, and without effect here'),
      userPrincipal: block({
        tenancy: secret('kept for PBM, and without effect here'),
        user: secret('kept for PBM, and without effect here'),
        fingerprint: secret('kept for PBM, and without effect here'),
        privateKey: secret('kept for PBM, and without effect here'),
        privateKeyPassphrase: secret('kept for PBM, and without effect here'),
      }),
    }),
    endpointUrl: text('URL of the S3 interface; default: that of namespace and region at oraclecloud.com; not in PBM', {
      pattern: '^(?:https?://.+)?$',
      identity: true,
    }),
    serverSideEncryption: block({
      kmsKeyID: text('refused: give the bucket its key instead'),
      sseCustomerKey: secret('base64 of 32 bytes (openssl rand -base64 32); without it nothing can be read'),
    }),
    uploadPartSize: count('bytes of a part; grows where an object would need too many; default 10 MiB', {
      maximum: 50 * 1024 ** 3,
    }),
    uploadConcurrency: count('kept for PBM, and without effect here', { maximum: 1000 }),
    maxObjSizeGB: option.maxObjectGib(10138, { exclusiveMaximum: 10_240 }),
    retryer: block({
      maxAttempts: count('tries of a request, the first included; default 8, also for 0'),
      maxBackoff: {
        type: ['string', 'integer'],
        pattern: '^(?:(?:\\d+(?:\\.\\d+)?(?:ns|us|µs|ms|s|m|h))+|)$',
        minimum: 0,
        description: 'longest wait before another try; default 30s; a bare number counts nanoseconds',
      },
    }),
  },
}
