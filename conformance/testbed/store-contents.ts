import assert from 'node:assert/strict'

/** What this reads of a storage: core is tested with this package, which therefore knows none of its types. */
interface Store {
  read(name: string, options?: { offset?: number }): Promise<AsyncIterable<Uint8Array>>
  list(): AsyncIterable<{ readonly name: string }>
}

/** As `PluginError` has it. */
interface Refusal extends Error {
  readonly code: string
  readonly retriable: boolean
}

/** The body of an object, chunk by chunk. */
export async function* body(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

/** The bytes of an object, from `offset` on. */
export async function get(store: Store, name: string, offset = 0): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of await store.read(name, { offset })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Of all objects, sorted. */
export async function names(store: Store): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of store.list()) found.push(name)
  return found.sort()
}

/** The error with which the work, which must be refused, was refused. */
export async function failure(work: Promise<unknown>): Promise<Refusal> {
  return work.then(
    () => assert.fail('must be refused'),
    (reason: unknown) => reason as Refusal,
  )
}
