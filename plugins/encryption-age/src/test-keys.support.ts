import { encodeBech32 } from './bech32.js'
import { parseIdentities } from './x25519.js'

/** An identity and its recipient, the same for the same number. */
export function testPair(seed: number): { identity: string; recipient: string } {
  const identity = encodeBech32(Buffer.alloc(32, seed), 'age-secret-key-').toUpperCase()
  return { identity, recipient: parseIdentities(identity, 'a test')[0]?.recipient.text ?? '' }
}
