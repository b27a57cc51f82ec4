import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import aesGcm from './index.js'

describe('options of aes-gcm', () => {
  const properties = aesGcm.optionsSchema.properties as Record<string, { readonly pattern: string }>
  const takes = (option: 'keyFile' | 'keyEnv', value: string) =>
    new RegExp(properties[option]?.pattern ?? '', 'u').test(value)
  const key = randomBytes(32)
  const padded = key.toString('base64')
  const KEYS = {
    'in Base64': padded,
    'in Base64 that begins like a path': `/${padded.slice(1)}`,
    'in Base64 without padding': `k${padded.slice(1, -1)}`,
    'in the Base64 of URLs': `k${key.toString('base64url').slice(1)}`,
    'in hexadecimal': key.toString('hex'),
    'in upper-case hexadecimal': `A${key.toString('hex').toUpperCase().slice(1)}`,
    'with a line end': `${padded}\n`,
  }
  for (const [how, value] of Object.entries(KEYS)) {
    it(`take no key ${how} in place of where it is`, () => {
      assert.deepEqual([takes('keyFile', value), takes('keyEnv', value)], [false, false])
    })
  }

  const PATHS = [
    '/run/secrets/pbmkit-production-aes-key-2026',
    `/${'a/'.repeat(21)}`,
    './run/secrets/pbmkit-production-aes-key-202',
    '~/run/secrets/pbmkit-production-aes-key-202',
    'keys',
  ]
  for (const path of PATHS) it(`take the path ${path}`, () => assert.ok(takes('keyFile', path)))

  const VARIABLES = ['PBMKIT_PRODUCTION_CLUSTER_EU_WEST_1_AES_KEY', '_'.repeat(43), 'K'.repeat(44), 'pbm_key']
  for (const name of VARIABLES) it(`take the variable ${name}`, () => assert.ok(takes('keyEnv', name)))
})
