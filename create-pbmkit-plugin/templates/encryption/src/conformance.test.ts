import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { encryptionConformance } from '@pbmkit/conformance'
import plugin from './index.js'

const keys = { TEST_KEY: randomBytes(32).toString('hex'), OTHER_TEST_KEY: randomBytes(32).toString('hex') }
Object.assign(process.env, keys)

encryptionConformance({
  describe,
  it,
  plugin,
  options: () => ({ keyEnv: 'TEST_KEY' }),
  otherOptions: () => ({ keyEnv: 'OTHER_TEST_KEY' }),
  missingOptions: () => ({ keyEnv: 'A_TEST_KEY_THAT_IS_NOT_SET' }),
  secrets: Object.values(keys),
})
