import assert from 'node:assert/strict'
import type { ChosenRoutes, ChosenThere } from '../../control/restore-document.js'
import { Selection } from '../../control/selection.js'
import { agreementOf } from './agreement.js'

const ROUTING: ChosenRoutes = { primaries: [{ db: 'shop', primary: 's1' }], sharded: ['shop.orders'] }

function part(name: string, names: string[], more: Partial<ChosenThere> = {}) {
  return { name, chosen: { names, gone: [], near: [], ...more } }
}

function agreed(rs: string, nss: string[], parts: Parameters<typeof agreementOf>[0]) {
  const selection = Selection.of(nss)
  assert.ok(selection)
  const { here, everywhere, uuidOf } = agreementOf(parts, { restore: 'r', rs, selection })
  return { here: [...here], everywhere: [...everywhere], uuidOf }
}

describe('what shards agree on before a restore of chosen namespaces', () => {
  const config = part('cfg', [], { routing: ROUTING })

  it('is what a mongos showed: what is sharded, and what the primary shard has', () => {
    const parts = [config, part('s1', ['shop.plain']), part('s2', ['shop.orders', 'shop.plain', 'shop.stale'])]
    assert.deepEqual(agreed('s2', ['shop.*'], parts).here, ['shop.orders'])
    assert.deepEqual(agreed('s1', ['shop.*'], parts).here, ['shop.plain'])
    assert.deepEqual(agreed('cfg', ['shop.*'], parts).everywhere.sort(), ['shop.orders', 'shop.plain'])
  })

  it('is refused where a shard lacks the buckets that it had of a time series', () => {
    const series = ['s1', 's2'].map((rs) => ({ ns: 'shop.orders', rs }))
    const parts = [part('cfg', [], { routing: { ...ROUTING, series } }), part('s1', ['shop.orders'])]
    const message = /lacks what shop\.orders had on shard s2/
    assert.throws(() => agreed('s1', ['shop.*'], [...parts, part('s2', [])]), { code: 'NAMESPACE_INCOMPLETE', message })
    assert.deepEqual(agreed('s2', ['shop.*'], [...parts, part('s2', ['shop.orders'])]).here, ['shop.orders'])
  })

  it('gives a collection one new UUID on all shards, and another one in the next restore', () => {
    const parts = [config, part('s1', ['shop.orders'])]
    const uuid = 'ab'.repeat(16)
    const [one, other] = ['s1', 'cfg'].map((rs) => agreed(rs, ['shop.orders'], parts).uuidOf(uuid).toString('hex'))
    assert.equal(one, other)
    assert.match(one ?? '', /^.{12}4.{3}[89ab]/)
    const selection = Selection.of(['shop.orders'])
    assert.ok(selection)
    assert.notEqual(agreementOf(parts, { restore: 'next', rs: 's1', selection }).uuidOf(uuid).toString('hex'), one)
  })

  it('is refused where no shard shows an entry, in the words of the one that knows what became of it', () => {
    const gone = [{ entry: 'shop.orders', gone: 'dropped at noon' }]
    const unsharded = part('cfg', [], { routing: { ...ROUTING, sharded: [] } })
    const parts = [unsharded, part('s1', ['shop.plain'], { gone, near: ['shop.plain'] }), part('s2', ['shop.orders'])]
    assert.throws(() => agreed('s2', ['shop.orders', 'shop.plain'], parts), {
      code: 'NAMESPACE_MISSING',
      message: /has shop\.orders \(dropped at noon\); there is shop\.plain/,
    })
  })

  it('is refused where the routing tables have what no shard has, and where there are none', () => {
    assert.throws(() => agreed('s1', ['shop.*'], [config, part('s1', ['shop.plain'])]), {
      code: 'NAMESPACE_INCOMPLETE',
    })
    assert.throws(() => agreed('s1', ['shop.*'], [part('s1', ['shop.plain'])]), { code: 'RESTORE_UNSUPPORTED' })
  })

  it('asks nothing of a selection that nobody can read', () => {
    const parts = [config, part('s1', ['shop.orders'])]
    assert.deepEqual(agreed('cfg', ['(sealed).*'], parts).everywhere, ['shop.orders'])
  })
})
