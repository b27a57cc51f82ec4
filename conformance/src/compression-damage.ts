import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { type CompressionPlugin, hasCode, type PluginErrorCode } from '@pbmkit/core/plugin'
import { codeIs, outcomeOf, pack, pause, refuses, sameBytes, unpack } from './compression-checks.js'
import { collect, inChunks, numbers, sample } from './compression-samples.js'
import type { TestRunner } from './runner.js'

const REFUSED: readonly PluginErrorCode[] = ['CODEC_CORRUPT', 'CODEC_TRUNCATED']

export function damageCases(it: TestRunner['it'], plugin: CompressionPlugin): void {
  const small = Buffer.concat([sample('documents', 300), sample('random', 40), sample('zeros', 100)])
  const large = sample('mixed', 5_000_000)
  const more = sample('documents', 200)

  it('refuses a stream cut at any point as truncated', async () => {
    const packed = await pack(plugin, small)
    const packedMore = await pack(plugin, more)
    for (let length = 0; length < packed.length; length++) {
      const where = `cut to ${length} of ${packed.length} bytes`
      const outcome = await outcomeOf(plugin, packed.subarray(0, length))
      if ('error' in outcome) {
        codeIs(outcome.error, ['CODEC_TRUNCATED'], where)
        continue
      }
      assert.ok(length < packed.length - 1, `${where}: taken as whole`)
      sameBytes(outcome.bytes, small.subarray(0, outcome.bytes.length), where)
      // A format without an end mark can be cut between its blocks: then what is left is a stream, and can go on.
      const continued = await outcomeOf(plugin, Buffer.concat([packed.subarray(0, length), packedMore]))
      assert.ok('bytes' in continued, `${where}: taken as whole, but it is not`)
      sameBytes(continued.bytes, Buffer.concat([outcome.bytes, more]), where)
    }
  })

  it('refuses a stream of no bytes, unless it writes such', async () => {
    if ((await pack(plugin, Buffer.alloc(0))).length === 0) return
    await refuses(unpack(plugin, Buffer.alloc(0)), ['CODEC_TRUNCATED'], 'no bytes')
  })

  it('gives the bytes before the cut, and no others', async () => {
    const packed = await pack(plugin, large)
    const given: Uint8Array[] = []
    const cut = packed.subarray(0, packed.length - 1)
    const error = await (async () => {
      for await (const chunk of plugin.decompress(inChunks(cut, 100_000))) given.push(chunk)
    })().then(
      () => assert.fail('a cut stream must be refused'),
      (reason: unknown) => reason,
    )
    codeIs(error, ['CODEC_TRUNCATED'], 'cut by its last byte')
    const bytes = Buffer.concat(given)
    sameBytes(bytes, large.subarray(0, bytes.length), 'what came before the cut')
  })

  it('refuses a long stream cut in the middle of a block', async () => {
    const packed = await pack(plugin, large)
    for (const part of [0.1, 0.33, 0.5, 0.9]) {
      // Two neighbouring cuts can't both lie between blocks.
      const length = Math.floor(packed.length * part)
      const outcomes = [await outcomeOf(plugin, packed.subarray(0, length))]
      outcomes.push(await outcomeOf(plugin, packed.subarray(0, length + 1)))
      const errors = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.error] : []))
      assert.ok(errors.length > 0, `cut to ${length} bytes: taken as whole`)
      for (const error of errors) codeIs(error, ['CODEC_TRUNCATED'], `cut to ${length} bytes`)
    }
  })

  it('refuses every flipped bit that would alter the content', async () => {
    const packed = await pack(plugin, small)
    for (let bit = 0; bit < packed.length * 8; bit++) {
      const damaged = flipped(packed, bit)
      const where = `bit ${bit % 8} of byte ${bit >> 3} flipped`
      const outcome = await outcomeOf(plugin, damaged)
      if ('error' in outcome) codeIs(outcome.error, REFUSED, where)
      else sameBytes(outcome.bytes, small, where)
    }
  })

  it('refuses flipped bits of a long stream', async () => {
    const next = numbers(42)
    const packed = await pack(plugin, large)
    for (let round = 0; round < 12; round++) {
      const bit = next(packed.length * 8)
      const outcome = await outcomeOf(plugin, flipped(packed, bit))
      if ('error' in outcome) codeIs(outcome.error, REFUSED, `bit ${bit} flipped`)
      else sameBytes(outcome.bytes, large, `bit ${bit} flipped`)
    }
  })

  it('names a wrong checksum or block as corrupt', async () => {
    const packed = await pack(plugin, large)
    let corrupt = 0
    for (let round = 0; round < 8; round++) {
      const damaged = Buffer.from(packed)
      const at = Math.floor((packed.length * (round + 1)) / 10)
      damaged.fill(damaged.readUInt8(at) ^ 0x5a, at, at + 64)
      const outcome = await outcomeOf(plugin, damaged)
      assert.ok('error' in outcome, `64 bytes from ${at} on overwritten: taken as whole`)
      codeIs(outcome.error, REFUSED, `64 bytes from ${at} on overwritten`)
      if (hasCode(outcome.error, 'CODEC_CORRUPT')) corrupt++
    }
    assert.ok(corrupt >= 6, `only ${corrupt} of 8 damaged streams were called corrupt`)
  })

  const trailers = {
    'a zero byte': Buffer.alloc(1),
    '512 zero bytes': Buffer.alloc(512),
    text: Buffer.from('and so it went on'),
    '0xff bytes': Buffer.alloc(100, 0xff),
  }
  for (const [name, trailer] of Object.entries(trailers)) {
    it(`refuses a stream followed by ${name}`, async () => {
      const packed = await pack(plugin, small)
      await refuses(unpack(plugin, Buffer.concat([packed, trailer])), REFUSED, `in the same chunk as the end`)
      async function* apart(): AsyncGenerator<Uint8Array> {
        yield packed
        yield trailer
      }
      await refuses(collect(plugin.decompress(apart())), REFUSED, 'in a chunk of its own')
    })
  }

  const strangers = {
    text: Buffer.from('This is not compressed at all, but it is long enough to hold any header.'),
    zeros: Buffer.alloc(1000),
    'random bytes': sample('random', 1000),
    documents: sample('documents', 1000),
  }
  for (const [name, bytes] of Object.entries(strangers)) {
    it(`refuses what is not of its format as corrupt: ${name}`, async () => {
      await refuses(unpack(plugin, bytes), ['CODEC_CORRUPT'], name)
    })
  }

  it('closes its source when the stream is corrupt', async () => {
    let closed = false
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          yield strangers.text
          await turn()
        }
      } finally {
        closed = true
      }
    }
    await refuses(collect(plugin.decompress(source())), ['CODEC_CORRUPT'], 'an endless source of text')
    for (let turns = 0; turns < 1000 && !closed; turns++) await pause()
    assert.ok(closed, 'the source must be closed')
  })
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit % 8)), bit >> 3)
  return copy
}
