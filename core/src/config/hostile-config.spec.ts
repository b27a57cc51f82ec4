import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PbmError } from '../errors.js'
import { host } from './config.support.js'
import { parseConfig } from './parse.js'

const SECRET = 'hunter2-hunter2'
const VALID = [
  ...['storage:', '  type: cloud', '  cloud:', '    bucket: b', '    credentials:'],
  ...[`      secret-access-key: ${SECRET}`, 'pitr: {enabled: true, oplogSpanMin: 0.5, priority: {"h:1": 2}}'],
  ...['backup:', '  compression: zstd', 'restore:', '  numParallelCollections: 1', ''],
].join('\n')

async function read(yaml: string): Promise<void> {
  try {
    await parseConfig(yaml, host)
  } catch (error) {
    assert.ok(error instanceof PbmError, (error as Error).stack)
    assert.match(error.code, /^(CONFIG|PLUGIN)_/)
    assert.ok(!error.message.includes(SECRET), error.message)
  }
}

describe('A configuration that somebody has changed', () => {
  const pieces = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '\n',
      '  ',
      ': ',
      '- ',
      '&a ',
      '*a',
      '<<: *a',
      '!!js/function x',
      '"',
      '{',
      '[',
      '|',
      '? ',
      '---\n',
      '%',
      '\u0000',
      '__proto__: 1',
    ),
  )

  it('is read or refused in words, without its secrets', async () => {
    await read(VALID)
    await fc.assert(
      fc.asyncProperty(
        fc.nat(VALID.length),
        fc.nat(12),
        fc.array(pieces, { maxLength: 4 }),
        async (at, length, middle) => {
          await read(VALID.slice(0, at) + middle.join('') + VALID.slice(at + length))
        },
      ),
      { numRuns: 400 },
    )
  })

  it('is refused with a text that would become endless', async () => {
    const bomb = ['a: &a [x]', ...Array.from({ length: 30 }, (_, n) => `b${n}: &b${n} [*a, *a]`)].join('\n')
    await assert.rejects(parseConfig(`${VALID}${bomb}`, host), { code: 'CONFIG_INVALID' })
    await read(`storage: ${'['.repeat(1_000)}`)
    await read(`storage: ${'{a: '.repeat(1_000)}`)
  })
})
