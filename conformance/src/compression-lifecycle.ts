import assert from 'node:assert/strict'
import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { pack, pause, WatchedSource } from './compression-checks.js'
import { collect, sample } from './compression-samples.js'
import type { TestRunner } from './runner.js'

/** What a transform may hold: a few blocks of several MiB. */
const MOST_HELD = 64 * 1024 * 1024
const CHUNK = sample('random', 1024 * 1024)

/** Far more than a transform may hold, and nothing that is in memory twice. */
function* manyChunks(chunk: Uint8Array, count: number): Generator<Uint8Array> {
  for (let index = 0; index < count; index++) yield chunk
}

type Direction = 'compress' | 'decompress'

export function lifecycleCases(it: TestRunner['it'], plugin: CompressionPlugin): void {
  /** The chunks of a source for `direction`: bytes, or `count` whole streams in a row. */
  async function chunksFor(direction: Direction, count: number): Promise<Iterable<Uint8Array>> {
    return manyChunks(direction === 'compress' ? CHUNK : await pack(plugin, CHUNK), count)
  }

  for (const direction of ['compress', 'decompress'] as const) {
    for (const count of [0, 1, 12]) {
      it(`${direction} passes an error of its source on unchanged, after ${count} chunks`, async () => {
        const failure = new Error('the wire was cut')
        const source = new WatchedSource(await chunksFor(direction, count), failure)
        const error = await collect(plugin[direction](source)).then(
          () => assert.fail('the error of the source is lost'),
          (reason: unknown) => reason,
        )
        assert.equal(error, failure, 'another error than that of the source')
      })
    }

    it(`${direction} closes its source when the reader breaks off`, async () => {
      const source = new WatchedSource(await chunksFor(direction, 300))
      for await (const chunk of plugin[direction](source)) {
        if (chunk.length > 1000) break
      }
      await source.closes()
    })

    it(`${direction} reads only a bounded amount ahead of its reader`, async () => {
      const source = new WatchedSource(await chunksFor(direction, 300))
      let given = 0
      for await (const chunk of plugin[direction](source)) {
        given += chunk.length
        if (given < 3 * 1024 * 1024) continue
        for (let turns = 0; turns < 20; turns++) await pause()
        break
      }
      const ahead = source.bytesTaken - given
      assert.ok(ahead <= MOST_HELD, `${ahead} bytes were taken and not given on`)
      await source.closes()
    })

    it(`${direction} swallows an error that its source throws after the reader broke off`, async () => {
      const failure = new Error('too late to matter')
      const source = new WatchedSource(await chunksFor(direction, 4), failure)
      try {
        for await (const chunk of plugin[direction](source)) {
          assert.ok(chunk.length > 0)
          break
        }
      } catch (error) {
        // Reading ahead, it may have met the error before the first chunk.
        assert.equal(error, failure)
      }
      // A rejection that nobody hears ends the process, or fails the case in the runner.
      for (let turns = 0; turns < 20; turns++) await pause()
    })

    it(`${direction} reads nothing before its reader asks`, async () => {
      const source = new WatchedSource(await chunksFor(direction, 4))
      plugin[direction](source)
      for (let turns = 0; turns < 5; turns++) await pause()
      assert.equal(source.bytesTaken, 0)
    })
  }
}
