import type { ObjectStore, PluginContext, StoragePlugin } from '@pbmkit/core/plugin'
import { shownPlace } from '@pbmkit/core/plugin/kit'
import { openS3As, type Renaming } from '@pbmkit/storage-s3'
import { asS3 } from './as-s3.js'
import { type OciOptions, optionsSchema } from './options.js'

export type { OciOptions } from './options.js'

/** Keeps backups in a bucket of Oracle Cloud, through its S3 interface and by PBM's keys of `storage.oci`. */
const oci: StoragePlugin<OciOptions> = { kind: 'storage', name: 'oci', apiVersion: 1, optionsSchema, open, describe }

export default oci

/** What the options of S3 are called here. */
const RENAMING: Renaming = [
  [/storage\.s3\.credentials\.access-key-id/g, 'storage.oci.credentials.accessKeyId'],
  [/storage\.s3\.credentials\.secret-access-key/g, 'storage.oci.credentials.secretAccessKey'],
  // Options that are not here.
  [/storage\.s3\.caFile, or set storage\.s3\.insecureSkipTLSVerify: true to trust any/g, 'NODE_EXTRA_CA_CERTS'],
  [/storage\.s3\./g, 'storage.oci.'],
  [/s3:\/\//g, 'oci://'],
]

/** As PBM shows the place. */
function describe({ namespace, bucket, prefix }: OciOptions): string {
  return `oci://${namespace}/${shownPlace(bucket, prefix)}`
}

async function open(options: OciOptions, context: PluginContext): Promise<ObjectStore> {
  return await openS3As(asS3(options), context, RENAMING)
}
