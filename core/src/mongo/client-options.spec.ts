import assert from 'node:assert/strict'
import { ConnectionString } from 'mongodb-connection-string-url'
import { ACKNOWLEDGE_MS, clientOptions } from './client-options.js'

describe('options of the driver', () => {
  const timeout = (options: string, acknowledge: Parameters<typeof clientOptions>[1]) =>
    clientOptions(new ConnectionString(`mongodb://localhost/?${options}`), acknowledge).wtimeoutMS

  it('wait for the majority as long as the URI says, but agents no shorter than their heartbeats last', () => {
    for (const option of ['wtimeoutMS', 'wtimeout', 'WTIMEOUTMS']) {
      assert.equal(timeout(`${option}=500`, 'bounded'), 500)
      assert.equal(timeout(`${option}=500`, 'lasting'), ACKNOWLEDGE_MS)
      assert.equal(timeout(`w=2&${option}=90000`, 'lasting'), 90_000)
      assert.equal(timeout(`${option}=500`, 'patient'), undefined)
    }
    for (const acknowledge of ['bounded', 'lasting'] as const) {
      assert.equal(timeout('', acknowledge), ACKNOWLEDGE_MS)
      assert.equal(timeout('wtimeoutMS=0', acknowledge), ACKNOWLEDGE_MS)
    }
  })
})
