import { CreateBucketCommand, PutObjectLockConfigurationCommand, S3Client } from '@aws-sdk/client-s3'
import { startMinio } from '@pbmkit/conformance/testbed'
import plugin from './dist/index.js'

const m = await startMinio()
const credentials = { accessKeyId: m.accessKeyId, secretAccessKey: m.secretAccessKey }
const admin = new S3Client({ endpoint: m.endpoint, region: 'us-east-1', forcePathStyle: true, credentials })
await admin.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }))
await admin.send(
  new PutObjectLockConfigurationCommand({
    Bucket: 'locked',
    ObjectLockConfiguration: {
      ObjectLockEnabled: 'Enabled',
      Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } },
    },
  }),
)
const store = await plugin.open(
  {
    bucket: 'locked',
    endpointUrl: m.endpoint,
    credentials: { 'access-key-id': m.accessKeyId, 'secret-access-key': m.secretAccessKey },
  },
  { signal: new AbortController().signal, warn: console.log },
)
for (const [n, size] of [
  ['a', 10],
  ['b', 30 * 1024 * 1024],
]) {
  try {
    console.log(
      await store.save(
        n,
        (async function* () {
          yield Buffer.alloc(size)
        })(),
      ),
    )
  } catch (e) {
    console.log(n, e.message, e.cause)
  }
}
try {
  await store.save(
    'a',
    (async function* () {
      yield Buffer.alloc(5)
    })(),
  )
  console.log('overwritten')
  await store.delete('a')
  console.log('deleted')
  console.log(await store.stat('a').catch((e) => e.code))
  await store.copy('b', 'c')
  console.log('copied')
} catch (e) {
  console.log(e.message)
}
await store.close()
await m.stop()
process.exit()
