import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { hasCode } from '@pbmkit/core/plugin'
import {
  absent,
  body,
  get,
  names,
  PausedBody,
  put,
  type StorageBench,
  same,
  sample,
  storeCase,
  text,
} from './fixture.js'

const MIB = 1024 * 1024

/** Whoever looks again and again lets timers and I/O go on in between: a store may need them to get done. */
export function atomicCases(bench: StorageBench): void {
  for (const size of [1, 100_000, 12 * MIB]) {
    storeCase(bench, `shows nothing of an object while ${size} bytes of it are written`, async ({ store, open }) => {
      const other = await open()
      const paused = new PausedBody([sample(size)])
      const saving = store.save('folder/object', paused)
      await paused.paused
      await absent(other, 'folder/object')
      await absent(store, 'folder/object')
      assert.deepEqual(await names(other), [], 'something is listed')
      assert.deepEqual(await names(other, 'folder/'), [], 'something is listed')
      paused.resume()
      await saving
      same(await get(other, 'folder/object'), sample(size))
      assert.deepEqual(await names(other), ['folder/object'])
    })

    storeCase(bench, `shows the old object while ${size} bytes of the new one are written`, async ({ store, open }) => {
      const other = await open()
      await put(store, 'object', 'old')
      const paused = new PausedBody([sample(size)])
      const saving = store.save('object', paused)
      await paused.paused
      assert.equal(await text(other, 'object'), 'old')
      assert.equal((await other.stat('object')).size, 3)
      assert.deepEqual(await names(other), ['object'])
      paused.resume()
      await saving
      same(await get(other, 'object'), sample(size))
    })
  }

  storeCase(
    bench,
    'shows readers the one object or the other, never a mixture, while it is replaced',
    async ({ store, open }) => {
      const other = await open()
      const versions = [sample(300_000, 1), sample(200_001, 2), sample(1, 3)]
      await put(store, 'object', versions[0])
      let writing = true
      const writer = (async () => {
        for (let round = 0; round < 60; round++)
          await store.save('object', body(versions[round % 3] ?? sample(1), 10_000))
      })().finally(() => {
        writing = false
      })
      const problems: string[] = []
      while (writing) {
        await turn()
        const { size } = await other.stat('object')
        if (!versions.some(({ length }) => length === size)) problems.push(`stat tells ${size} bytes`)
        const found = await get(other, 'object')
        if (!versions.some((version) => version.equals(found)))
          problems.push(`read gives ${found.length} bytes of none of them`)
        for await (const info of other.list()) {
          if (info.name !== 'object') problems.push(`${info.name} is listed`)
          if (!versions.some(({ length }) => length === info.size)) problems.push(`list tells ${info.size} bytes`)
        }
      }
      await writer
      assert.deepEqual([...new Set(problems)], [])
    },
  )

  storeCase(
    bench,
    'shows a new object whole or not at all to one who asks again and again',
    async ({ store, open }) => {
      const other = await open()
      const bytes = sample(2 * MIB)
      for (let round = 0; round < 10; round++) {
        const name = `object-${round}`
        let saved = false
        const saving = store.save(name, body(bytes, 100_000)).finally(() => {
          saved = true
        })
        for (let last = false; !last; ) {
          await turn()
          last = saved
          const found = await get(other, name).catch((error: unknown) => error)
          if (found instanceof Buffer) same(found, bytes)
          else assert.ok(!last && hasCode(found, 'STORAGE_NOT_FOUND'), String(found))
        }
        await saving
      }
    },
  )

  storeCase(bench, 'shows the old target or the new one while an object is copied onto it', async ({ store, open }) => {
    const other = await open()
    const versions = [sample(400_000, 1), sample(300_000, 2)] as const
    await put(store, 'a', versions[0])
    await put(store, 'b', versions[1])
    await store.copy('a', 'target')
    let copying = true
    const copier = (async () => {
      for (let round = 0; round < 40; round++) await store.copy(round % 2 === 0 ? 'b' : 'a', 'target')
    })().finally(() => {
      copying = false
    })
    let mixtures = 0
    while (copying) {
      await turn()
      const found = await get(other, 'target')
      if (!versions.some((version) => version.equals(found))) mixtures++
    }
    await copier
    assert.equal(mixtures, 0, `${mixtures} reads gave a mixture`)
  })
}
