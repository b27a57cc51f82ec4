import { PluginError } from '@pbmkit/core/plugin'
import { durationMs } from '@pbmkit/core/plugin/kit'
import type { S3Options } from '@pbmkit/storage-s3'
import type { OciOptions } from './options.js'

const TRIES = 8
const MAX_OBJECT_GIB = 10_138

/** The same place as the S3 plugin is configured for it. Throws PluginError for what its S3 interface can't do. */
export function asS3(options: OciOptions): S3Options {
  const { region, namespace, bucket, prefix, credentials = {}, retryer = {}, uploadPartSize, maxObjSizeGB } = options
  const { accessKeyId, secretAccessKey } = credentials
  if (!accessKeyId || !secretAccessKey) {
    const text =
      'storage.oci.credentials needs accessKeyId and secretAccessKey here: the S3 interface of OCI takes no signing keys and no principals; make a Customer Secret Key for the same user and add it beside them'
    throw new PluginError('STORAGE_DENIED', text)
  }
  const { kmsKeyID, sseCustomerKey } = options.serverSideEncryption ?? {}
  if (kmsKeyID) {
    const text =
      'storage.oci.serverSideEncryption.kmsKeyID is not known to the S3 interface of OCI; give the bucket that key, and leave it out here'
    throw new PluginError('STORAGE_NOT_SUPPORTED', text)
  }
  return {
    ...{ bucket, region, forcePathStyle: true, conditionalWrites: false },
    endpointUrl: options.endpointUrl || `https://${namespace}.compat.objectstorage.${region}.oraclecloud.com`,
    credentials: { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey },
    serverSideEncryption: sseCustomerKey ? { sseCustomerAlgorithm: 'AES256', sseCustomerKey } : {},
    maxObjSizeGB: maxObjSizeGB !== undefined && maxObjSizeGB >= 1 ? maxObjSizeGB : MAX_OBJECT_GIB,
    ...(prefix === undefined ? {} : { prefix }),
    ...(uploadPartSize === undefined ? {} : { uploadPartSize }),
    retryer: {
      numMaxRetries: (retryer.maxAttempts || TRIES) - 1,
      maxRetryDelay: `${durationMs(retryer.maxBackoff, 30_000)}ms`,
    },
  }
}
