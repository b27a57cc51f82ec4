import type { ObjectStore, PluginContext, StoragePlugin } from '@pbmkit/core/plugin'
import { shownPlace } from '@pbmkit/core/plugin/kit'
import { openS3As, type Renaming, type S3Options } from '@pbmkit/storage-s3'
import { type MinioOptions, optionsSchema } from './options.js'

export type { MinioOptions } from './options.js'

/** Keeps backups on a MinIO server, by PBM's keys of `storage.minio`. */
const minio: StoragePlugin<MinioOptions> = {
  kind: 'storage',
  name: 'minio',
  apiVersion: 1,
  optionsSchema,
  open,
  describe,
}

export default minio

/** What the options of S3 are called here. */
const RENAMING: Renaming = [
  [/storage\.s3\.endpointUrl/g, 'storage.minio.endpoint'],
  [/storage\.s3\.uploadPartSize/g, 'storage.minio.partSize'],
  [/storage\.s3\./g, 'storage.minio.'],
  [/s3:\/\//g, 'minio://'],
]

/** Of PBM's library for MinIO. */
const TRIES = 10

function describe({ endpoint, bucket, prefix }: MinioOptions): string {
  return `minio://${endpoint}/${shownPlace(bucket, prefix)}`
}

async function open(options: MinioOptions, context: PluginContext): Promise<ObjectStore> {
  if (options.credentials?.['signature-ver'] === 'V2')
    context.warn('storage.minio.credentials.signature-ver is V2; requests are signed by V4, which MinIO knows too')
  return await openS3As(asS3(options), context, RENAMING)
}

/** The same place as the S3 plugin is configured for it. */
export function asS3(options: MinioOptions): S3Options {
  const { endpoint, endpointMap = {}, credentials, partSize, debugTrace, retryer, secure } = options
  const url = (place: string) => (place.includes('://') ? place : `${secure === true ? 'https' : 'http'}://${place}`)
  const { bucket, prefix, region, forcePathStyle, insecureSkipTLSVerify, caFile, maxObjSizeGB } = options
  const { 'signature-ver': _, ...keys } = credentials ?? {}
  return {
    ...{ bucket, endpointUrl: url(endpoint), credentials: keys },
    endpointUrlMap: Object.fromEntries(Object.entries(endpointMap).map(([node, place]) => [node, url(place)])),
    ...(prefix === undefined ? {} : { prefix }),
    ...(region === undefined ? {} : { region }),
    ...(forcePathStyle === undefined ? {} : { forcePathStyle }),
    ...(insecureSkipTLSVerify === undefined ? {} : { insecureSkipTLSVerify }),
    ...(caFile === undefined ? {} : { caFile }),
    ...(maxObjSizeGB === undefined ? {} : { maxObjSizeGB }),
    ...(partSize === undefined ? {} : { uploadPartSize: partSize }),
    ...(debugTrace === true ? { debugLogLevels: 'Request,Response,Retries' } : {}),
    retryer: {
      numMaxRetries: (retryer?.numMaxRetries || TRIES) - 1,
      minRetryDelay: '200ms',
      maxRetryDelay: '1s',
    },
  }
}
