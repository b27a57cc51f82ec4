import type { ObjectStore, PluginContext, StoragePlugin } from '@pbmkit/core/plugin'
import { shownPlace } from '@pbmkit/core/plugin/kit'
import { openS3As, type Renaming } from '@pbmkit/storage-s3'
import { asS3 } from './as-s3.js'
import { type OssOptions, optionsSchema } from './options.js'

export type { OssOptions } from './options.js'

/** Keeps backups in a bucket of Alibaba Cloud OSS, through its S3 interface and by PBM's keys of `storage.oss`. */
const oss: StoragePlugin<OssOptions> = { kind: 'storage', name: 'oss', apiVersion: 1, optionsSchema, open, describe }

export default oss

/** What the options of S3 are called here. */
const RENAMING: Renaming = [
  [/storage\.s3\.credentials\.access-key-id/g, 'storage.oss.credentials.accessKeyId'],
  [/storage\.s3\.credentials\.secret-access-key/g, 'storage.oss.credentials.accessKeySecret'],
  [/storage\.s3\.credentials\.session-token/g, 'storage.oss.credentials.securityToken'],
  // Options that are not here.
  [/storage\.s3\.caFile, or set storage\.s3\.insecureSkipTLSVerify: true to trust any/g, 'NODE_EXTRA_CA_CERTS'],
  [/storage\.s3\./g, 'storage.oss.'],
  [/s3:\/\//g, 'oss://'],
]

/** As PBM shows the place. */
function describe({ endpointUrl, bucket, prefix }: OssOptions): string {
  const server = endpointUrl ? (endpointUrl.includes('://') ? endpointUrl : `oss://${endpointUrl}`) : 'oss:/'
  return `${server}/${shownPlace(bucket, prefix)}`
}

async function open(options: OssOptions, context: PluginContext): Promise<ObjectStore> {
  return await openS3As(asS3(options), context, RENAMING)
}
