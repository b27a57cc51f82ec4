import assert from 'node:assert/strict'

/** As far as one object needs it. */
interface Store {
  save(name: string, body: AsyncIterable<Uint8Array>): Promise<unknown>
  list(): AsyncIterable<{ readonly name: string }>
  read(name: string): Promise<AsyncIterable<Uint8Array>>
  delete(name: string): Promise<void>
}

/** Stores `folder/object` in an empty storage, lists it, reads it and deletes it. */
export async function roundTrip(store: Store): Promise<void> {
  async function* body() {
    yield Buffer.from('pbmkit')
  }
  await store.save('folder/object', body())
  const names: string[] = []
  for await (const { name } of store.list()) names.push(name)
  assert.deepEqual(names, ['folder/object'])
  const chunks: Uint8Array[] = []
  for await (const chunk of await store.read('folder/object')) chunks.push(chunk)
  assert.equal(Buffer.concat(chunks).toString(), 'pbmkit')
  await store.delete('folder/object')
}
