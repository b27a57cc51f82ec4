import type { ObjectInfo } from '../../plugin/storage.js'
import { MASK } from '../../secrets/text.js'
import type { OpenStore } from '../open-store.js'

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

/** The store with every error {@link redacted}. */
export function redactedStore(store: OpenStore, secrets: readonly string[]): OpenStore {
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw redacted(error, secrets)
    }
  }
  async function* guardEach<T>(open: () => AsyncIterable<T> | Promise<AsyncIterable<T>>): AsyncGenerator<T> {
    try {
      yield* await open()
    } catch (error) {
      throw redacted(error, secrets)
    }
  }
  return {
    capabilities: store.capabilities,
    save: (name, body, options) => guard(() => store.save(name, body, options)),
    read: (name, options) =>
      guard(async () => {
        const bytes = await store.read(name, options)
        return guardEach(() => bytes)
      }),
    stat: (name, options) => guard(() => store.stat(name, options)),
    list: (options) => guardEach<ObjectInfo>(() => store.list(options)),
    delete: (name, options) => guard(() => store.delete(name, options)),
    copy: (source, target, options) => guard(() => store.copy(source, target, options)),
    close: () => guard(() => store.close()),
    figures: store.figures,
    strayParts: store.strayParts,
  }
}
