import { MASK } from './text.js'

/** A secret this short would take ordinary words out of messages, and is none. */
const SHORTEST_SECRET = 4

/**
 * The same error with the values of secrets taken out of the messages, of its causes too. Codes and all other fields
 * stay. Libraries of vendors put keys into messages and URLs.
 */
export function redacted(error: unknown, secrets: readonly string[]): unknown {
  const seen = new Set<unknown>()
  for (let current = error; current instanceof Error && !seen.has(current); current = current.cause) {
    seen.add(current)
    hide(current, 'message', secrets)
    hide(current, 'stack', secrets)
  }
  return error
}

/** Defined and not assigned: some errors (DOMException) only have getters. */
function hide(error: Error, key: 'message' | 'stack', secrets: readonly string[]): void {
  const text = error[key]
  if (text === undefined) return
  const rest = withoutSecrets(text, secrets)
  if (rest !== text) Object.defineProperty(error, key, { value: rest, configurable: true, writable: true })
}

/** The text with the values of secrets taken out, also where they are encoded for a URL. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .flatMap((secret) => [secret, encodeURIComponent(secret)])
    .reduce((rest, secret) => rest.replaceAll(secret, MASK), text)
}
