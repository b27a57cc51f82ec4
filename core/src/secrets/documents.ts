import { isSecretName, MASK } from './text.js'

/** Inside a `credentials` block everything is a secret but these. */
const PLAIN_CREDENTIALS = new Set(['workloadIdentity', 'signature-ver', 'server', 'vault'])

/**
 * A copy with every non-empty secret string replaced by `***`, for what no plugin describes in `<name>.pbm.json`; by names, so
 * more than PBM hides.
 */
export function maskSecrets(value: unknown): unknown {
  return mask(value, false)
}

function mask(value: unknown, insideCredentials: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => mask(item, insideCredentials))
  if (!isPlainObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const plain = insideCredentials && PLAIN_CREDENTIALS.has(key)
      if (typeof item === 'string' && !plain && (insideCredentials || isSecretName(key))) {
        return [key, item === '' ? '' : MASK]
      }
      return [key, mask(item, insideCredentials || key === 'credentials')]
    }),
  )
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !('_bsontype' in value)
}
