import assert from 'node:assert/strict'
import { asS3 } from './as-s3.js'
import plugin, { type OssOptions } from './index.js'

const credentials = { accessKeyId: 'key', accessKeySecret: 'secret' }
const options = (more: Partial<OssOptions> = {}) => asS3({ bucket: 'b', region: 'cn-hangzhou', credentials, ...more })

describe('options of storage-oss', () => {
  it('lead to the S3 interface of the region, with the bucket in the host name', () => {
    const { endpointUrl, region, forcePathStyle, retryer, maxObjSizeGB } = options()
    assert.deepEqual(
      { endpointUrl, region, forcePathStyle, tries: retryer?.numMaxRetries, maxObjSizeGB },
      {
        ...{ endpointUrl: 'https://s3.oss-cn-hangzhou.aliyuncs.com', region: 'cn-hangzhou', forcePathStyle: false },
        ...{ tries: 4, maxObjSizeGB: 48_700 },
      },
    )
  })

  for (const [given, used] of [
    ['https://oss-cn-hangzhou-internal.aliyuncs.com', 'https://s3.oss-cn-hangzhou-internal.aliyuncs.com'],
    ['oss-eu-central-1.aliyuncs.com', 'https://s3.oss-eu-central-1.aliyuncs.com'],
    ['https://s3.oss-eu-central-1.aliyuncs.com', 'https://s3.oss-eu-central-1.aliyuncs.com'],
    ['http://127.0.0.1:9000', 'http://127.0.0.1:9000'],
  ] as const) {
    it(`take ${given} for ${used}`, () => assert.equal(options({ endpointUrl: given }).endpointUrl, used))
  }

  it('encrypt by the words of S3', () => {
    const words = (encryptionMethod: string, encryptionKeyId = '') =>
      options({ serverSideEncryption: { encryptionMethod, encryptionKeyId } }).serverSideEncryption
    assert.deepEqual(words('KMS', 'id'), { sseAlgorithm: 'aws:kms', kmsKeyID: 'id' })
    assert.deepEqual(words('anything'), { sseAlgorithm: 'AES256' })
    assert.deepEqual(options().serverSideEncryption, {})
  })

  it('that the S3 interface does not know are refused', () => {
    const sse = (section: OssOptions['serverSideEncryption']) => () => options({ serverSideEncryption: section ?? {} })
    assert.throws(sse({ encryptionMethod: 'SM4' }), /serverSideEncryption\.encryptionMethod SM4/)
    assert.throws(sse({ encryptionMethod: 'KMS', encryptionAlgorithm: 'SM4' }), /encryptionAlgorithm SM4/)
    assert.throws(() => options({ credentials: { ...credentials, roleArn: 'acs:ram::1:role/r' } }), /roleArn/)
    assert.throws(() => options({ credentials: {} }), /accessKeyId and accessKeySecret/)
  })

  it('are shown as PBM shows the place', () => {
    assert.equal(plugin.describe({ bucket: 'b', prefix: 'p/q' }), 'oss://b/p/q')
    assert.equal(plugin.describe({ bucket: 'b', endpointUrl: 'https://host' }), 'https://host/b')
    assert.equal(plugin.describe({ bucket: 'b', endpointUrl: 'host' }), 'oss://host/b')
  })
})
