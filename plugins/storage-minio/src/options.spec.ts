import assert from 'node:assert/strict'
import plugin, { asS3 } from './index.js'

describe('options of storage-minio', () => {
  it('are those of S3 by other names', () => {
    const { retryer, ...others } = asS3({
      ...{ endpoint: 'minio:9000', endpointMap: { 'n1:27017': 'near:9000' }, bucket: 'b', prefix: 'p', secure: true },
      ...{ partSize: 1, debugTrace: true, credentials: { 'access-key-id': 'key', 'signature-ver': 'V4' } },
    })
    assert.deepEqual(others, {
      ...{ endpointUrl: 'https://minio:9000', endpointUrlMap: { 'n1:27017': 'https://near:9000' } },
      ...{ bucket: 'b', prefix: 'p', credentials: { 'access-key-id': 'key' } },
      ...{ uploadPartSize: 1, debugLogLevels: 'Request,Response,Retries' },
    })
    assert.equal(retryer?.numMaxRetries, 9)
  })

  it('count the first try, and 0 as the default', () => {
    const tries = (numMaxRetries: number) =>
      asS3({ endpoint: 'm', bucket: 'b', retryer: { numMaxRetries } }).retryer?.numMaxRetries
    assert.deepEqual([tries(1), tries(3), tries(0)], [0, 2, 9])
  })

  it('are shown as PBM shows the place', () => {
    assert.equal(plugin.describe({ endpoint: 'm:9000', bucket: 'b', prefix: '/p/' }), 'minio://m:9000/b/p')
  })
})
