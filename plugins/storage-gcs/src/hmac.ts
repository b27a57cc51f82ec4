import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import { openS3As, type Renaming, type S3Options } from '@pbmkit/storage-s3'
import { GOOGLE } from './client.js'
import { type GcsOptions, retryerOf } from './options.js'

/** What the options of S3 are called here, for errors that name them. */
const OPTIONS: Renaming = [
  [/storage\.s3\.credentials\.access-key-id/g, 'storage.gcs.credentials.hmacAccessKey'],
  [/storage\.s3\.credentials\.secret-access-key/g, 'storage.gcs.credentials.hmacSecret'],
  // Options that are not here.
  [/storage\.s3\.caFile, or set storage\.s3\.insecureSkipTLSVerify: true to trust any/g, 'NODE_EXTRA_CA_CERTS'],
  [/storage\.s3\.uploadPartSize/g, 'storage.gcs.chunkSize'],
  [/storage\.s3\./g, 'storage.gcs.'],
  [/s3:\/\//g, 'gs://'],
]

/**
 * HMAC keys are those of the XML API, which is S3's. So S3's plugin does the work, as PBM lets MinIO's client do it. GCS
 * keeps no `If-None-Match` there, and makes nothing of a condition that it does not know.
 */
export async function openWithHmac(
  options: GcsOptions,
  { hmacAccessKey, hmacSecret }: { readonly hmacAccessKey: string; readonly hmacSecret: string },
  context: PluginContext,
): Promise<ObjectStore> {
  const { attempts, firstWaitMs, longestWaitMs } = retryerOf(options)
  const asS3: S3Options = {
    ...{ bucket: options.bucket, region: 'auto', endpointUrl: options.endpointUrl || GOOGLE, forcePathStyle: true },
    credentials: { 'access-key-id': hmacAccessKey, 'secret-access-key': hmacSecret },
    ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
    ...(options.chunkSize === undefined ? {} : { uploadPartSize: options.chunkSize }),
    ...(options.maxObjSizeGB === undefined ? {} : { maxObjSizeGB: options.maxObjSizeGB }),
    retryer: {
      numMaxRetries: attempts - 1,
      minRetryDelay: `${Math.ceil(Math.min(firstWaitMs, longestWaitMs) / 10)}ms`,
      maxRetryDelay: `${Math.ceil(longestWaitMs)}ms`,
    },
    conditionalWrites: false,
  }
  return await openS3As(asS3, context, OPTIONS)
}
