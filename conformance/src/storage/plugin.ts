import assert from 'node:assert/strict'
import { secretsOf, shapeFaults } from '@pbmkit/core'
import type { StorageBench } from './fixture.js'

interface SchemaNode {
  readonly identity?: boolean
  readonly properties?: Readonly<Record<string, SchemaNode>>
}

/** What the package says of itself, before anything is opened. */
export function pluginCases({ it, plugin, options }: StorageBench): void {
  it('is a storage plugin of this API version', async () => {
    assert.deepEqual(shapeFaults(plugin, 'storage'), [])
  })

  it('has a short name, legal as a key of the configuration', async () => {
    assert.match(plugin.name, /^[a-z0-9@][a-z0-9@/._-]*$/i)
    assert.ok(!plugin.name.startsWith('$'))
  })

  it('marks what tells one of its stores from another', async () => {
    const properties = Object.values((plugin.optionsSchema as SchemaNode).properties ?? {})
    assert.ok(
      hasIdentity(plugin.optionsSchema as SchemaNode) || properties.length === 0,
      'no option is marked identity',
    )
  })

  it('describes its place in a text without secrets', async () => {
    const given = await options()
    const described = plugin.describe(given)
    assert.equal(typeof described, 'string')
    assert.notEqual(described, '')
    for (const secret of secretsOf(given, plugin.optionsSchema)) {
      assert.ok(!described.includes(secret), 'the description holds a secret')
    }
  })
}

function hasIdentity(schema: SchemaNode): boolean {
  return schema.identity === true || Object.values(schema.properties ?? {}).some(hasIdentity)
}
