import assert from 'node:assert/strict'
import { type Standalone, startStandalone } from '@pbmkit/conformance/testbed'
import type { DrillCheck } from '../../config/drill-checks.js'
import { runChecks } from './run-checks.js'

const AT = Date.parse('2031-02-07T00:00:00Z')

describe("users' own checks of restored data", () => {
  let server: Standalone
  const ending = new AbortController()
  before(async () => {
    server = await startStandalone()
    const orders = (await server.client()).db('shop').collection('orders')
    await orders.insertMany([
      { paid: true, made: { at: new Date(AT - 3_600_000) } },
      { paid: true, made: { at: new Date(AT - 86_400_000) } },
      { paid: false, made: { at: 'yesterday' } },
    ])
  })
  after(() => server.stop())

  async function faultsOf(...checks: Omit<DrillCheck, 'ns'>[]): Promise<(string | undefined)[]> {
    const asked = checks.map((check) => ({ ns: 'shop.orders', ...check }))
    const options = { at: AT, signal: ending.signal, timeoutMs: 60_000 }
    return (await runChecks(await server.client(), asked, options)).map(({ fault }) => fault)
  }

  it('pass where enough documents fit and the newest is new enough', async () => {
    const newest = { field: 'made.at', notOlderThan: '1h' }
    assert.deepEqual(await faultsOf({}, { minCount: 3 }, { query: '{"paid": true}', minCount: 2, newest }), [
      ...[undefined, undefined, undefined],
    ])
  })

  it('fail with what they found, each for itself', async () => {
    const newest = { field: 'made.at', notOlderThan: '59m' }
    const [few, old, none] = await faultsOf({ minCount: 4 }, { newest }, { query: '{"paid": false}', newest })
    assert.equal(few, '3 documents fit, and 4 are asked for')
    assert.equal(old, 'the newest made.at is 2031-02-06T23:00:00.000Z: more than 59m before the backup')
    assert.equal(none, 'no document that fits has a date in made.at')
  })

  it('run no script in the server, and say so', async () => {
    const scripts = ['{"$where": "true"}', '{"$expr": {"$function": {"body": "f", "args": [], "lang": "js"}}}']
    const faults = await faultsOf(...scripts.map((query) => ({ query })), { query: '{"$no": 1}' }, {})
    assert.match(faults[0] ?? '', /\$where can't be used here/)
    assert.match(faults[1] ?? '', /\$function can't be used here/)
    assert.match(faults[2] ?? '', /it could not be looked at: unknown top level operator/)
    assert.equal(faults[3], undefined)
  })
})
