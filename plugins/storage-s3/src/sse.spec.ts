import assert from 'node:assert/strict'
import plugin from './index.js'
import { ignoredEncryption } from './sse.js'

describe('encryption that a configuration of storage-s3 asks for in vain', () => {
  const option = 'storage.s3.serverSideEncryption'

  it('is told of where no algorithm is named', () => {
    assert.equal(
      ignoredEncryption({ kmsKeyID: 'k' }),
      `${option}.kmsKeyID is ignored, as there is no sseAlgorithm: aws:kms`,
    )
    assert.match(ignoredEncryption({ sseCustomerKey: 'k' }) ?? '', /sseCustomerKey is ignored.* AES256$/)
    assert.match(ignoredEncryption({ sseAlgorithm: 'aes' }) ?? '', /sseAlgorithm "aes" is ignored/)
    for (const sse of [
      undefined,
      { sseAlgorithm: 'aws:kms', kmsKeyID: 'k' },
      { sseAlgorithm: 'AES256', sseCustomerKey: 'k' },
      { sseCustomerAlgorithm: 'AES256', sseCustomerKey: 'k', kmsKeyID: 'k' },
    ])
      assert.equal(ignoredEncryption(sse), undefined)
  })

  it('is told of once for each storage, however often it is opened', async () => {
    const warnings: string[] = []
    // Ended before anything is sent.
    const context = { signal: AbortSignal.abort(), warn: (text: string) => void warnings.push(text) }
    for (const bucket of ['one', 'two', 'one']) {
      const options = {
        bucket,
        endpointUrl: 'http://127.0.0.1:9',
        credentials: { 'access-key-id': 'a', 'secret-access-key': 'b' },
        serverSideEncryption: { kmsKeyID: 'k' },
      }
      await assert.rejects(plugin.open(options, context), { code: 'STORAGE_ABORTED' })
    }
    assert.deepEqual(
      warnings.map((text) => text.replace(/ is ignored.*/, '')),
      ['one', 'two'].map((bucket) => `s3://${bucket} at http://127.0.0.1:9: ${option}.kmsKeyID`),
    )
  })
})
