import { encryptionConformance } from '@pbmkit/conformance'
import plugin from './index.js'

const FIRST = Buffer.alloc(32, 1).toString('base64')
const SECOND = Buffer.alloc(32, 2).toString('hex')

const VARIABLES = { first: 'PBMKIT_TEST_KEY_FIRST', second: 'PBMKIT_TEST_KEY_SECOND', both: 'PBMKIT_TEST_KEY_BOTH' }
process.env[VARIABLES.first] = FIRST
process.env[VARIABLES.second] = SECOND
process.env[VARIABLES.both] = `# the newest first\n${SECOND}\n\n${FIRST}\n`

encryptionConformance({
  describe,
  it,
  plugin,
  options: () => ({ keyEnv: VARIABLES.first }),
  otherOptions: () => ({ keyEnv: VARIABLES.second }),
  rotatedOptions: () => ({ keyEnv: VARIABLES.both }),
  missingOptions: () => ({ keyEnv: 'PBMKIT_TEST_KEY_THAT_IS_NOT_SET' }),
  secrets: [FIRST, SECOND],
  wrapsKeys: true,
  bindsNames: true,
})
