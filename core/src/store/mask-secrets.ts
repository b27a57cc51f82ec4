/**
 * Masks by the names of keys, for documents whose plugin (and so whose schema) is not at hand: the copy of the storage
 * configuration inside a backup's metadata. Errs on the side of hiding.
 */
const SECRET = /(pass(word|phrase)|secret|token|private-?key|access-?key|customer-?key|^hmac)/i
/** Inside a `credentials` block everything is a secret but these. */
const PLAIN_CREDENTIALS = new Set(['workloadIdentity', 'signature-ver', 'server', 'vault'])

export const MASK = '***'

/** A copy with every non-empty secret string replaced by `***`, as PBM has them in `<name>.pbm.json`. */
export function maskSecrets(value: unknown): unknown {
  return mask(value, false)
}

function mask(value: unknown, insideCredentials: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => mask(item, insideCredentials))
  if (!isPlainObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const secret = SECRET.test(key) || (insideCredentials && !PLAIN_CREDENTIALS.has(key))
      if (secret && typeof item === 'string') return [key, item === '' ? '' : MASK]
      return [key, mask(item, insideCredentials || key === 'credentials')]
    }),
  )
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !('_bsontype' in value)
}
