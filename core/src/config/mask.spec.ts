import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import type { SchemaNode } from '../plugin-host/schema.js'
import { cloud, host } from './config.support.js'
import { maskConfig, maskStorage, secretsOf } from './mask.js'

describe('a configuration that is shown', () => {
  const epoch = new Timestamp(1n)

  it('masks by the schema', async () => {
    const storage = {
      type: 'cloud',
      cloud: { bucket: 'key-bucket', credentials: { 'access-key-id': 'AK', 'secret-access-key': '', type: 'key' } },
    }
    const masked = await maskConfig({ storage, epoch }, host)
    assert.deepEqual(masked.storage.cloud, {
      bucket: 'key-bucket',
      credentials: { 'access-key-id': '***', 'secret-access-key': '', type: 'key' },
    })
  })

  it('masks by names what no schema describes in the blocks of PBM, whose names are known', async () => {
    const s3 = {
      bucket: 'b',
      credentials: { 'secret-access-key': 'x', vault: { server: 'v' } },
      serverSideEncryption: { sseCustomerKey: 'k', sseAlgorithm: 'a' },
    }
    const masked = await maskConfig({ storage: { type: 's3', s3 }, epoch }, host)
    assert.deepEqual(masked.storage.s3, {
      bucket: 'b',
      credentials: { 'secret-access-key': '***', vault: { server: '***' } },
      serverSideEncryption: { sseCustomerKey: '***', sseAlgorithm: 'a' },
    })
    const both = await maskStorage(
      { type: 'cloud', cloud: { bucket: 'b' }, azure: { container: 'c', credentials: { key: 'x' } } },
      host,
    )
    assert.deepEqual(both.azure, { container: 'c', credentials: { key: '***' } })
  })

  it('hides the credentials in a URL, which no schema tells of', async () => {
    const storage = { type: 'cloud', cloud: { bucket: 'https://u:s3cr3t@h:1/b' } }
    assert.deepEqual((await maskStorage(storage, host)).cloud, { bucket: 'https://***@h:1/b' })
    assert.deepEqual(secretsOf(storage.cloud, cloud.optionsSchema as SchemaNode), ['s3cr3t'])
    const odd = { type: 'cloud', cloud: { bucket: `https://u:s3@"cr'%403t%@h:1/b@c` } }
    assert.deepEqual((await maskStorage(odd, host)).cloud, { bucket: 'https://***@h:1/b@c' })
    const encoded = { bucket: 'https://u:s3%40cr3t@h' }
    assert.deepEqual(secretsOf(encoded, cloud.optionsSchema as SchemaNode), ['s3%40cr3t', 's3@cr3t'])
  })

  it('masks all but numbers and booleans where nobody knows what is secret', async () => {
    const options = { dsn: 'user:pw', port: 22, tls: true, empty: '', hosts: ['a', 1], more: { pin: 'x', token: 5 } }
    const shown = { dsn: '***', port: 22, tls: true, empty: '', hosts: ['***', 1], more: { pin: '***', token: '***' } }
    for (const [type, block] of [
      ['vanished', 'vanished'],
      ['@acme/pbmkit-storage-vanished', 'vanished'],
      ['@acme/pbmkit-storage-s3', 's3'],
    ] as const) {
      const store = { name: 'weekly', profile: true, type, [block]: options }
      assert.deepEqual(await maskStorage(store, host), { ...store, [block]: shown })
    }
    for (const block of ['name', 'profile'])
      assert.deepEqual(await maskStorage({ type: block, [block]: options }, host), { type: block, [block]: shown })
    assert.deepEqual(await maskStorage({ type: 'vanished', vanished: 'user:pw' }, host), {
      type: 'vanished',
      vanished: '***',
    })
    const { cloud } = await maskStorage({ type: 'cloud', cloud: { bucket: 'b', newer: 'x' } }, host)
    assert.deepEqual(cloud, { bucket: 'b', newer: '***' })
  })
})
