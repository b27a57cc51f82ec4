import assert from 'node:assert/strict'
import { asS3 } from './as-s3.js'
import plugin, { type OciOptions } from './index.js'

const place = { region: 'eu-frankfurt-1', namespace: 'ns', bucket: 'b' }
const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
const options = (more: Partial<OciOptions> = {}) => asS3({ ...place, credentials, ...more })

describe('options of storage-oci', () => {
  it('lead to the S3 interface of namespace and region, with the bucket in the path', () => {
    const { endpointUrl, region, forcePathStyle, retryer, maxObjSizeGB } = options({ maxObjSizeGB: 0.5 })
    assert.deepEqual(
      { endpointUrl, region, forcePathStyle, tries: retryer?.numMaxRetries, maxObjSizeGB },
      {
        endpointUrl: 'https://ns.compat.objectstorage.eu-frankfurt-1.oraclecloud.com',
        ...{ region: 'eu-frankfurt-1', forcePathStyle: true, tries: 7, maxObjSizeGB: 10_138 },
      },
    )
    assert.equal(options({ endpointUrl: 'https://other' }).endpointUrl, 'https://other')
  })

  it("take a customer's key, and refuse one of the vault, which only the bucket can have", () => {
    assert.deepEqual(options({ serverSideEncryption: { sseCustomerKey: 'a2V5' } }).serverSideEncryption, {
      ...{ sseCustomerAlgorithm: 'AES256', sseCustomerKey: 'a2V5' },
    })
    assert.throws(() => options({ serverSideEncryption: { kmsKeyID: 'ocid1.key' } }), /kmsKeyID/)
  })

  it("say what to add to PBM's credentials", () => {
    const userPrincipal = { tenancy: 't', user: 'u', fingerprint: 'f', privateKey: 'k' }
    assert.throws(() => options({ credentials: { userPrincipal } }), /Customer Secret Key/)
  })

  it('are shown as PBM shows the place', () => {
    assert.equal(plugin.describe({ ...place, prefix: 'p' }), 'oci://ns/b/p')
  })
})
