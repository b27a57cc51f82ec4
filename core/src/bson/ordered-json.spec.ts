import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type JsonValue, parseJson, parseJsonGently } from './ordered-json.js'

function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain)
  return value instanceof Map ? Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)])) : value
}

function outcome(parse: () => unknown): unknown {
  try {
    return parse()
  } catch {
    return 'refused'
  }
}

describe('JSON with its order', () => {
  it('is what any other parser makes of it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 6 }), async (text) => {
        assert.deepEqual(plain(parseJson(text)), JSON.parse(text))
        assert.deepEqual(plain(await parseJsonGently(` ${text}\n`)), JSON.parse(text))
      }),
      { numRuns: 200 },
    )
  })

  it('is refused where any other parser refuses it', () => {
    const pieces = fc.constantFrom(...'{}[],:"\\ \n0-1.e'.split(''), 'null', 'true', '"a"', '\u0000', 'x')
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('')
        assert.deepEqual(
          outcome(() => plain(parseJson(text))),
          outcome(() => JSON.parse(text)),
        )
      }),
      { numRuns: 2000 },
    )
  })

  it('keeps keys where they are', () => {
    assert.deepEqual([...(parseJson('{"b":1,"2":2,"1":3}') as Map<string, unknown>).keys()], ['b', '2', '1'])
  })

  it('is refused when it is nested without end, or a number is', () => {
    for (const open of ['[', '{"a":']) {
      assert.throws(() => parseJson(open.repeat(1_000_000)), { code: 'JSON_INVALID', message: /too deep/ })
    }
    assert.throws(() => parseJson('1'.repeat(1_000_000)), { code: 'JSON_INVALID' })
    assert.throws(() => parseJson(`"${'\\'.repeat(100_001)}`), { code: 'JSON_INVALID' })
  })

  it('lets others work while a large one is parsed', async () => {
    let turns = 0
    const counting = setInterval(() => turns++, 0)
    await parseJsonGently(`[${'{"a":[1,2,3]},'.repeat(50_000)}1]`)
    clearInterval(counting)
    assert.ok(turns > 1)
  })
})
