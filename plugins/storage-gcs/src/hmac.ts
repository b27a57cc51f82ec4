import { type ObjectInfo, type ObjectStore, type PluginContext, PluginError } from '@pbmkit/core/plugin'
import s3, { type S3Options } from '@pbmkit/storage-s3'
import { GOOGLE } from './client.js'
import { type GcsOptions, retryerOf } from './options.js'

/** What the options of S3 are called here, for errors that name them. */
const OPTIONS: readonly (readonly [pattern: RegExp, text: string])[] = [
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
  const store = await s3.open(asS3, context).catch((error: unknown) => {
    throw renamed(error)
  })
  return renamedStore(store)
}

function renamed(error: unknown): unknown {
  if (!(error instanceof PluginError)) return error
  const text = OPTIONS.reduce((rest, [pattern, own]) => rest.replace(pattern, own), error.message)
  return new PluginError(error.code, text, { cause: error.cause, retriable: error.retriable })
}

function renamedStore(store: ObjectStore): ObjectStore {
  const guard = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw renamed(error)
    })
  async function* guardEach<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* source
    } catch (error) {
      throw renamed(error)
    }
  }
  return {
    capabilities: store.capabilities,
    save: (name, body, options) => guard(store.save(name, body, options)),
    read: async (name, options) => guardEach(await guard(store.read(name, options))),
    stat: (name, options) => guard(store.stat(name, options)),
    list: (options) => guardEach<ObjectInfo>(store.list(options)),
    delete: (name, options) => guard(store.delete(name, options)),
    copy: (source, target, options) => guard(store.copy(source, target, options)),
    close: () => guard(store.close()),
  }
}
