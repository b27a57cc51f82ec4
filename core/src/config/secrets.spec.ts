import assert from 'node:assert/strict'
import type { SchemaNode } from '../plugin-host/schema.js'
import { schemaFaults } from './faults.js'
import { secretsOf } from './mask.js'
import { mapSecrets } from './secrets.js'

const masked = (value: unknown, schema: object) =>
  mapSecrets(value, schema, (shown, hidden) => (hidden ? '***' : shown))
const withOptions = (properties: object): SchemaNode => ({
  type: 'object',
  additionalProperties: false,
  properties: properties as Record<string, SchemaNode>,
})

describe('telling secrets in a configuration', () => {
  const text = { type: 'string' }
  const headers = { type: 'object', additionalProperties: text }
  const CASES: [string, object, unknown, unknown, string[]][] = [
    ['that has no type', { dsn: { writeOnly: true, minLength: 1 } }, { dsn: 'user:pw' }, { dsn: '***' }, ['user:pw']],
    ['of several types', { dsn: { writeOnly: true, anyOf: [text] } }, { dsn: 'user:pw' }, { dsn: '***' }, ['user:pw']],
    ['that is a number', { pin: { type: 'integer', writeOnly: true } }, { pin: 12345 }, { pin: '***' }, ['12345']],
    [
      'in a map, by its key',
      { headers },
      { headers: { Authorization: 'Bearer x', password: 'pw', accept: 'all' } },
      { headers: { Authorization: '***', password: '***', accept: 'all' } },
      ['Bearer x', 'pw'],
    ],
    [
      'in a list',
      { hosts: { type: 'array', items: withOptions({ url: text, pin: { ...text, writeOnly: true } }) } },
      {
        hosts: [
          { url: 'u', pin: 'one' },
          { url: 'v', pin: 'two' },
        ],
      },
      {
        hosts: [
          { url: 'u', pin: '***' },
          { url: 'v', pin: '***' },
        ],
      },
      ['one', 'two'],
    ],
    [
      'in a list that is one',
      { pins: { type: 'array', writeOnly: true, items: text } },
      { pins: ['one', 'two'] },
      { pins: ['***', '***'] },
      ['one', 'two'],
    ],
    [
      'in a section that is one',
      { login: { ...withOptions({ user: text, more: headers }), writeOnly: true } },
      { login: { user: 'me', more: { a: 'b' } } },
      { login: { user: '***', more: { a: '***' } } },
      ['me', 'b'],
    ],
    ['and not what the schema describes as none', { keyName: text }, { keyName: 'main' }, { keyName: 'main' }, []],
  ]
  for (const [what, properties, options, shown, secrets] of CASES) {
    it(`finds one ${what}, to show and to scrub`, () => {
      assert.deepEqual(masked(options, withOptions(properties)), shown)
      assert.deepEqual(secretsOf(options, withOptions(properties)), secrets)
    })
  }

  it('does not repeat one in what it says of a wrong value', () => {
    const schema = withOptions({
      dsn: { writeOnly: true, anyOf: [{ type: 'integer' }, { type: 'boolean' }] },
      headers: { type: 'object', additionalProperties: { type: 'integer' } },
      pins: { type: 'array', writeOnly: true, items: { type: 'integer' } },
    })
    const faults = schemaFaults(
      { dsn: 'hunter2', headers: { password: 'hunter2', age: 'old' }, pins: ['hunter2'] },
      schema,
    )
    const texts = faults.map(({ path, text }) => `${path.join('.')} ${text}`)
    assert.doesNotMatch(texts.join('\n'), /hunter2/)
    assert.ok(texts.includes('headers.password must be a whole number'), texts.join('\n'))
    assert.ok(texts.includes('headers.age must be a whole number, not "old"'), texts.join('\n'))
  })
})
