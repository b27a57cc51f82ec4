import assert from 'node:assert/strict'
import { pause, WatchedSource } from '../compression-checks.js'
import { collect, sample } from '../compression-samples.js'
import { cipherOf, type EncryptionBench, sealed } from './fixture.js'

/** What a transform may hold: a few blocks of several MiB. */
const MOST_HELD = 64 * 1024 * 1024
const MIB = 1024 * 1024

export function lifecycleCases(bench: EncryptionBench): void {
  const { it } = bench
  const chunk = sample('random', MIB)

  /** Chunks of MiB: plain bytes, or the beginning of one sealed object. */
  async function chunksFor(direction: 'seal' | 'open', count: number): Promise<Uint8Array[]> {
    const plain = Array.from({ length: count }, () => chunk)
    if (direction === 'seal' || count === 0) return plain
    const packed = await sealed(await cipherOf(bench), Buffer.concat([...plain, chunk]))
    return Array.from({ length: count }, (_, index) => packed.subarray(index * MIB, (index + 1) * MIB))
  }

  for (const direction of ['seal', 'open'] as const) {
    for (const count of [0, 1, 8]) {
      it(`${direction} passes an error of its source on unchanged, after ${count} chunks`, async () => {
        const cipher = await cipherOf(bench)
        const failure = new Error('the wire was cut')
        const source = new WatchedSource(await chunksFor(direction, count), failure)
        const error = await collect(cipher[direction](source)).then(
          () => assert.fail('the error of the source is lost'),
          (reason: unknown) => reason,
        )
        assert.equal(error, failure, 'another error than that of the source')
      })
    }

    it(`${direction} closes its source when the reader breaks off`, async () => {
      const cipher = await cipherOf(bench)
      const source = new WatchedSource(await chunksFor(direction, 40))
      for await (const given of cipher[direction](source)) if (given.length > 1000) break
      await source.closes()
    })

    it(`${direction} reads only a bounded amount ahead of its reader`, async () => {
      const cipher = await cipherOf(bench)
      const source = new WatchedSource(await chunksFor(direction, 100))
      let given = 0
      for await (const part of cipher[direction](source)) {
        given += part.length
        if (given < 3 * MIB) continue
        for (let turns = 0; turns < 20; turns++) await pause()
        break
      }
      const ahead = source.bytesTaken - given
      assert.ok(ahead <= MOST_HELD, `${ahead} bytes were taken and not given on`)
      await source.closes()
    })

    it(`${direction} reads nothing before its reader asks`, async () => {
      const cipher = await cipherOf(bench)
      const source = new WatchedSource(await chunksFor(direction, 4))
      cipher[direction](source)
      for (let turns = 0; turns < 5; turns++) await pause()
      assert.equal(source.bytesTaken, 0)
    })
  }

  it('closes its source when the object is refused', async () => {
    const cipher = await cipherOf(bench)
    const source = new WatchedSource(Array.from({ length: 20 }, () => chunk))
    await assert.rejects(collect(cipher.open(source)))
    await source.closes()
    assert.ok(source.bytesTaken < 20 * MIB, 'all of what is no sealed object was read')
  })
}
