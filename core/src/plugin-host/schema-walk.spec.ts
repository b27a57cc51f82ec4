import assert from 'node:assert/strict'
import { shapeFaults } from './check.js'

describe('the schema of a plugin', () => {
  const secret = { type: 'string', writeOnly: true }
  const faultsOf = (option: object, more: object = {}) => {
    const optionsSchema = { type: 'object', additionalProperties: false, properties: { option, user: {} }, ...more }
    const none = () => undefined
    const plugin = { kind: 'storage', name: 'odd', apiVersion: 1, optionsSchema, open: none, describe: none }
    return shapeFaults(plugin, 'storage')
      .map(({ text }) => text)
      .join('\n')
  }

  const REFUSED: [RegExp, object, object?][] = [
    [/optionsSchema\.option has \$ref/, { $ref: '#/$defs/s' }, { $defs: { s: secret } }],
    [/optionsSchema\.option has patternProperties/, { patternProperties: { '^pin': secret } }],
    [
      /optionsSchema\.option has a list as items/,
      { type: 'array', items: [secret], minItems: 1, additionalItems: false },
    ],
    [/unknown keyword: "prefixItems"/, { type: 'array', prefixItems: [secret] }],
    [/optionsSchema\.option\.allOf has writeOnly/, { type: 'string', allOf: [{ writeOnly: true }] }],
    [/optionsSchema\.option\.oneOf\.pin has writeOnly/, { oneOf: [{ properties: { pin: secret } }] }],
    [/optionsSchema\.option\.items\.anyOf has writeOnly/, { type: 'array', items: { anyOf: [secret] } }],
    [
      /optionsSchema\.else\.option has writeOnly/,
      {},
      { if: { required: ['user'] }, else: { properties: { option: secret } } },
    ],
  ]
  for (const [fault, option, more] of REFUSED) {
    it(`is refused where masking would not find a secret: ${fault.source}`, () => {
      assert.match(faultsOf(option, more), fault)
    })
  }

  it('may have branches that restrict what is described outside of them', () => {
    const branches = { anyOf: [{ required: ['option'] }, { required: ['user'] }] }
    assert.equal(faultsOf({ writeOnly: true, anyOf: [{ type: 'string' }, { type: 'integer' }] }, branches), '')
    assert.equal(faultsOf(secret, { dependencies: { option: ['user'] } }), '')
  })
})
