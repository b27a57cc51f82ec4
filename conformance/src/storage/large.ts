import assert from 'node:assert/strict'
import { type StorageBench, sample, storeCase } from './fixture.js'

const MIB = 1024 * 1024
const CHUNKS = 256
const CHUNK = MIB

/** What a store may hold of an object, whatever its size; a store that holds it all holds 256 MiB. */
const MOST_GROWTH = 160 * MIB

/** Runs `work` and tells by how much the process grew at the most. */
async function growth(work: (look: () => void) => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss()
  let most = before
  await work(() => {
    most = Math.max(most, process.memoryUsage.rss())
  })
  return Math.max(most, process.memoryUsage.rss()) - before
}

export function largeCases(bench: StorageBench): void {
  // The same chunk again and again: the suite itself needs no memory for it.
  const chunk = sample(CHUNK)
  async function* large(look: () => void): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < CHUNKS; index++) {
      look()
      yield chunk
    }
  }

  storeCase(bench, 'saves, copies and reads 256 MiB with bounded memory', async ({ store }) => {
    const saving = await growth(async (look) => {
      assert.equal((await store.save('large', large(look))).size, CHUNKS * CHUNK)
    })
    assert.ok(saving < MOST_GROWTH, `saving took ${Math.round(saving / MIB)} MiB of memory`)
    const copying = await growth(async (look) => {
      assert.equal((await store.copy('large', 'copy', { onProgress: look })).size, CHUNKS * CHUNK)
    })
    assert.ok(copying < MOST_GROWTH, `copying took ${Math.round(copying / MIB)} MiB of memory`)
    let position = 0
    const reading = await growth(async (look) => {
      for await (const bytes of await store.read('copy')) {
        const at = position % CHUNK
        const end = Math.min(bytes.length, CHUNK - at)
        assert.ok(chunk.subarray(at, at + end).equals(bytes.subarray(0, end)), `differs near byte ${position}`)
        position += bytes.length
        look()
      }
    })
    assert.equal(position, CHUNKS * CHUNK)
    assert.ok(reading < MOST_GROWTH, `reading took ${Math.round(reading / MIB)} MiB of memory`)
  })
}
