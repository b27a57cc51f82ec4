import { isIP } from 'node:net'
import { PluginError } from '@pbmkit/core/plugin'
import { durationMs } from '@pbmkit/core/plugin/kit'
import type { S3Options } from '@pbmkit/storage-s3'
import type { OssOptions } from './options.js'

const REGION = 'us-east-1'
const TRIES = 5
const MAX_OBJECT_GIB = 48_700

/** The same place as the S3 plugin is configured for it. Throws PluginError for what its S3 interface can't do. */
export function asS3(options: OssOptions): S3Options {
  const { bucket, prefix, credentials = {}, retryer = {}, uploadPartSize, maxUploadParts, maxObjSizeGB } = options
  const { accessKeyId, accessKeySecret, securityToken, roleArn } = credentials
  if (!accessKeyId || !accessKeySecret)
    throw new PluginError('STORAGE_DENIED', 'storage.oss.credentials needs accessKeyId and accessKeySecret')
  if (roleArn) {
    const text =
      'storage.oss.credentials.roleArn: no role is assumed here; give the key of a user who may use the bucket, or temporary credentials with their securityToken'
    throw new PluginError('STORAGE_DENIED', text)
  }
  const region = options.region || REGION
  const endpointUrl = endpointOf(options.endpointUrl, region)
  return {
    ...{ bucket, region, endpointUrl, serverSideEncryption: encryption(options) },
    // OSS wants the bucket in the host name, which an address of numbers can't have.
    forcePathStyle: isIP(new URL(endpointUrl).hostname) !== 0,
    credentials: {
      'access-key-id': accessKeyId,
      'secret-access-key': accessKeySecret,
      ...(securityToken ? { 'session-token': securityToken } : {}),
    },
    maxObjSizeGB: maxObjSizeGB !== undefined && maxObjSizeGB >= 1 ? maxObjSizeGB : MAX_OBJECT_GIB,
    ...(prefix === undefined ? {} : { prefix }),
    ...(uploadPartSize === undefined ? {} : { uploadPartSize }),
    ...(maxUploadParts === undefined ? {} : { maxUploadParts }),
    retryer: {
      numMaxRetries: (retryer.maxAttempts || TRIES) - 1,
      minRetryDelay: `${durationMs(retryer.baseDelay, 30)}ms`,
      maxRetryDelay: `${durationMs(retryer.maxBackoff, 300_000)}ms`,
    },
    conditionalWrites: false,
  }
}

/** Of the S3 interface, whose hosts have `s3.` before the name of the region. */
function endpointOf(configured: string | undefined, region: string): string {
  if (!configured) return `https://s3.oss-${region}.aliyuncs.com`
  const url = configured.includes('://') ? configured : `https://${configured}`
  return url.replace(/^(https?:\/\/)(oss-[a-z0-9-]+\.aliyuncs\.com)/, '$1s3.$2')
}

function encryption({ serverSideEncryption: sse }: OssOptions): NonNullable<S3Options['serverSideEncryption']> {
  if (sse === undefined) return {}
  const { encryptionMethod, encryptionAlgorithm = '', encryptionKeyId } = sse
  const other = encryptionMethod === 'SM4' ? 'encryptionMethod SM4' : ''
  const ofData = !['', 'AES256'].includes(encryptionAlgorithm) ? `encryptionAlgorithm ${encryptionAlgorithm}` : ''
  const refused = other || (encryptionMethod === 'KMS' ? ofData : '')
  if (refused !== '') {
    const text = `storage.oss.serverSideEncryption.${refused} is not known to the S3 interface of OSS; set it as the default of the bucket, and leave this section out`
    throw new PluginError('STORAGE_NOT_SUPPORTED', text)
  }
  if (encryptionMethod !== 'KMS') return { sseAlgorithm: 'AES256' }
  return { sseAlgorithm: 'aws:kms', ...(encryptionKeyId ? { kmsKeyID: encryptionKeyId } : {}) }
}
