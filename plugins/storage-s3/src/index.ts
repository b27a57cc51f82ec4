import type { StoragePlugin } from '@pbmkit/core/plugin'
import { describe, openS3 } from './open.js'
import { optionsSchema, type S3Options } from './options.js'

export { openS3As, type Renaming } from './open-as.js'
export type { S3Options } from './options.js'

/** Keeps backups in a bucket of Amazon S3, or of a server that speaks its protocol. */
const s3: StoragePlugin<S3Options> = {
  kind: 'storage',
  name: 's3',
  apiVersion: 1,
  optionsSchema,
  open: (options, context) => openS3(options, context),
  describe,
}

export default s3
