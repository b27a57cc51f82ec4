import { isMasked, MASK, maskUrls } from '../secrets/text.js'
import type { ConfigFault } from './faults.js'
import { isRecord } from './values.js'

/**
 * A storage that was shown and comes back: what is masked is as it is in `stored`, which may be another storage. What is
 * not stored stays masked, for {@link maskedFaults}.
 */
export function withStoredSecrets(value: unknown, stored: unknown): unknown {
  if (value === MASK) return isScalar(stored) ? stored : MASK
  if (typeof value === 'string') return typeof stored === 'string' && maskUrls(stored) === value ? stored : value
  if (Array.isArray(value)) {
    // Of another length, nobody knows which one is meant.
    const known = Array.isArray(stored) && stored.length === value.length ? stored : []
    return value.map((item, index) => withStoredSecrets(item, known[index]))
  }
  if (!isRecord(value)) return value
  const known = isRecord(stored) ? stored : {}
  const fields = Object.entries(value).map(([key, field]) => [
    key,
    withStoredSecrets(field, Object.hasOwn(known, key) ? known[key] : undefined),
  ])
  return Object.fromEntries(fields)
}

function isScalar(value: unknown): boolean {
  return value !== undefined && value !== null && !Array.isArray(value) && !isRecord(value)
}

/** Every place below `path` where the mask stands in place of a secret: stored, it would take the place of the secret. */
export function maskedFaults(value: unknown, path: readonly string[]): ConfigFault[] {
  if (isMasked(value)) return [maskedFault(path)]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, field]) => maskedFaults(field, [...path, key]))
}

export function maskedFault(path: readonly string[]): ConfigFault {
  const text = `${MASK} stands for a value that was not shown, and none is stored here: write the value itself`
  return { path, text, unknownKey: false }
}
