import assert from 'node:assert/strict'
import { type CompressionPlugin, hasCode } from '@pbmkit/core/plugin'
import { pack, sameBytes, unpack, WatchedSource } from './compression-checks.js'
import { sample } from './compression-samples.js'
import type { TestRunner } from './runner.js'

type It = TestRunner['it']

export function plainCases(it: It, plugin: CompressionPlugin): void {
  it('is of the kind compression and of API version 1', async () => {
    assert.equal(plugin.kind, 'compression')
    assert.equal(plugin.apiVersion, 1)
  })

  it('has a name of lower-case letters, digits and dashes', async () => {
    assert.match(plugin.name, /^[a-z0-9-]+$/)
  })

  it('has a suffix with its dot, or none', async () => {
    assert.match(plugin.suffix, /^(\.[A-Za-z0-9]+)?$/)
  })

  it('has whole levels, the default between the ends', async () => {
    if (plugin.levels === undefined) return
    const { min, max, default: usual } = plugin.levels
    for (const level of [min, max, usual]) assert.ok(Number.isInteger(level), `${level} is not whole`)
    assert.ok(min <= usual && usual <= max, `${usual} is not between ${min} and ${max}`)
  })
}

export function levelCases(it: It, plugin: CompressionPlugin): void {
  const bytes = sample('mixed', 300_000)

  if (plugin.levels === undefined) {
    for (const level of [-5, 0, 1, 9, 1000]) {
      it(`ignores level ${level}, having none`, async () => {
        sameBytes(await unpack(plugin, await pack(plugin, bytes, level)), bytes)
      })
    }
    return
  }

  const { min, max } = plugin.levels
  for (let level = min; level <= max; level++) {
    it(`round trip at level ${level}`, async () => {
      sameBytes(await unpack(plugin, await pack(plugin, bytes, level)), bytes)
    })
  }

  it('takes its default when the level is undefined', async () => {
    sameBytes(await unpack(plugin, await pack(plugin, bytes, undefined)), bytes)
  })

  const outside = { 'below the lowest': min - 1, 'above the highest': max + 1, fraction: min + 0.5, NaN: Number.NaN }
  for (const [name, level] of Object.entries(outside)) {
    it(`refuses a level outside at once: ${name}`, async () => {
      const source = new WatchedSource([bytes])
      assert.throws(
        () => plugin.compress(source, { level }),
        (error) => hasCode(error, 'CODEC_LEVEL'),
        `level ${level} must be refused by compress() itself, with CODEC_LEVEL`,
      )
      assert.equal(source.bytesTaken, 0)
    })
  }
}
