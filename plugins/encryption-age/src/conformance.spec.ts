import { encryptionConformance } from '@pbmkit/conformance'
import plugin from './index.js'
import { testPair } from './test-keys.support.js'

const { identity: FIRST, recipient: FIRST_RECIPIENT } = testPair(1)
const { identity: SECOND, recipient: SECOND_RECIPIENT } = testPair(2)

const VARIABLES = { first: 'PBMKIT_TEST_AGE_FIRST', second: 'PBMKIT_TEST_AGE_SECOND', both: 'PBMKIT_TEST_AGE_BOTH' }
process.env[VARIABLES.first] = FIRST
process.env[VARIABLES.second] = SECOND
process.env[VARIABLES.both] = `# the newest first\n${SECOND}\n\n${FIRST}\n`

encryptionConformance({
  describe,
  it,
  plugin,
  options: () => ({ recipients: [FIRST_RECIPIENT], identityEnv: VARIABLES.first }),
  otherOptions: () => ({ recipients: [SECOND_RECIPIENT], identityEnv: VARIABLES.second }),
  rotatedOptions: () => ({ recipients: [SECOND_RECIPIENT], identityEnv: VARIABLES.both }),
  missingOptions: () => ({ recipients: [FIRST_RECIPIENT], identityEnv: 'PBMKIT_TEST_AGE_THAT_IS_NOT_SET' }),
  secrets: [FIRST, SECOND],
})
