import type { OptionsSchema } from '@pbmkit/core/plugin'
import { option } from '@pbmkit/core/plugin/kit'

/** `storage.oss` (PBM: cli-and-config.md §3.2). */
export interface OssOptions {
  readonly region?: string
  readonly endpointUrl?: string
  readonly bucket: string
  readonly prefix?: string
  readonly credentials?: {
    readonly accessKeyId?: string
    readonly accessKeySecret?: string
    readonly securityToken?: string
    readonly roleArn?: string
    readonly sessionName?: string
  }
  readonly connectTimeout?: number | string
  /** Bytes. */
  readonly uploadPartSize?: number
  readonly maxUploadParts?: number
  /** GiB; values under 1 are ignored, as in PBM. */
  readonly maxObjSizeGB?: number
  readonly retryer?: {
    readonly maxAttempts?: number
    readonly maxBackoff?: number | string
    readonly baseDelay?: number | string
  }
  readonly serverSideEncryption?: {
    readonly encryptionMethod?: string
    readonly encryptionAlgorithm?: string
    readonly encryptionKeyId?: string
  }
}

const { text, secret, count, block } = option
const duration = (description: string) => option.duration(description, { mayBeEmpty: true })

export const optionsSchema: OptionsSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['bucket'],
  properties: {
    region: text('region of the bucket, such as eu-central-1; default us-east-1', { identity: true }),
    endpointUrl: text('URL or host of the server; default: that of the region', { identity: true }),
    bucket: text('name of the bucket, which must exist', { minLength: 1, identity: true }),
    prefix: text('folder in the bucket; default: its root', { identity: true }),
    credentials: block({
      accessKeyId: secret('access key; it and its secret are needed'),
      accessKeySecret: secret('secret of the access key'),
      securityToken: secret('token of temporary credentials'),
      roleArn: secret('refused: no role is assumed here'),
      sessionName: secret('kept for PBM, and without effect here'),
    }),
    connectTimeout: duration('kept for PBM, and without effect here, where it is 10 s'),
    uploadPartSize: count(
      'bytes of a part, at least 5 MiB; grows where an object would need too many; default 10 MiB (PBM 6 MiB)',
    ),
    maxUploadParts: count('parts of an upload at the most; default 10000'),
    maxObjSizeGB: option.maxObjectGib(48700),
    retryer: block({
      maxAttempts: count('tries of a request, the first included; default 5, also for 0'),
      maxBackoff: duration('longest wait before another try; default 300s'),
      baseDelay: duration('shortest wait before another try; default 30ms'),
    }),
    serverSideEncryption: block(
      {
        encryptionMethod: text('KMS, or AES256, which also stands for anything else as in PBM; SM4 is refused'),
        encryptionAlgorithm: text('of the data under KMS: AES256; another one is refused'),
        encryptionKeyId: secret('id of the key for KMS; default: the default key'),
      },
      { description: 'without this section the bucket decides' },
    ),
  },
}
