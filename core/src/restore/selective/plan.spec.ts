import assert from 'node:assert/strict'
import { BSON, type Document, UUID } from 'bson'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { Renaming } from '../../control/renaming.js'
import { Selection } from '../../control/selection.js'
import type { Operation } from '../../oplog/entry.js'
import { NamespaceHistory } from './history.js'
import { planSelective } from './plan.js'
import { SelectedOperations } from './selected-operations.js'

const [A, B, C] = ['aa', 'bb', 'cc'].map((byte) => byte.repeat(16)) as [string, string, string]

function stored(ns: string, more: Partial<NamespaceMetadata> = {}): NamespaceMetadata {
  const [db = '', collection = ''] = ns.split('.')
  return { db, collection, collectionName: collection, type: 'collection', indexes: [], crc: 0n, size: 1, ...more }
}

function command(db: string, o: Document, uuid?: string): Operation {
  const ui = uuid === undefined ? undefined : Buffer.from(uuid, 'hex')
  return { op: 'c', ns: `${db}.$cmd`, ui, o: Buffer.from(BSON.serialize(o)), o2: undefined }
}

function change(ns: string, o: Document, uuid?: string): Operation {
  return { ...command('', o, uuid), op: 'i', ns }
}

const rename = (from: string, to: string, uuid: string, dropTarget?: string) =>
  command(
    'shop',
    { renameCollection: from, to, ...(dropTarget === undefined ? {} : { dropTarget: new UUID(dropTarget) }) },
    uuid,
  )

describe('the plan of a selective restore', () => {
  function planned(namespaces: NamespaceMetadata[], operations: Operation[], nss: string[], ...to: string[]) {
    const history = new NamespaceHistory(namespaces)
    operations.forEach((operation, index) => {
      history.see(operation, BigInt(index + 1))
    })
    const selection = Selection.of(nss)
    assert.ok(selection)
    const renaming =
      to.length === 0 ? undefined : Renaming.of(nss.map((from, index) => ({ from, to: to[index] ?? '' })))
    const plan = planSelective(history, { selection, usersAndRoles: false, renaming })
    const choice = new SelectedOperations(plan.destinations, new Set())
    const restored = [...plan.restored].map(([from, to]) => `${from.collection}>${to.db}.${to.collection}`)
    return { choice, restored, created: [...plan.created] }
  }

  it('takes what is renamed into the selection, and not what it replaces', () => {
    const both = [stored('shop.orders', { uuid: A }), stored('shop.tmp', { uuid: B })]
    const { restored, choice } = planned(both, [rename('shop.tmp', 'shop.orders', B, A)], ['shop.orders'])
    assert.deepEqual(restored, ['tmp>shop.orders'])
    assert.equal(choice.choose(change('shop.tmp', { _id: 1 }, B), 1n)?.ns, 'shop.orders')
    assert.equal(choice.choose(change('shop.orders', { _id: 1 }, A), 1n), undefined)
    assert.equal(choice.choose(rename('shop.tmp', 'shop.orders', B), 1n), undefined)
  })

  it('refuses what was renamed out of it or dropped, and says so', () => {
    const one = [stored('shop.orders', { uuid: A })]
    assert.throws(() => planned(one, [rename('shop.orders', 'shop.old', A)], ['shop.orders']), {
      code: 'NAMESPACE_MISSING',
      message: /renamed to shop\.old at .*there is shop\.old/,
    })
    assert.throws(() => planned(one, [command('shop', { drop: 'orders' }, A)], ['shop.*']), {
      code: 'NAMESPACE_MISSING',
    })
  })

  it('refuses what a selective backup never had under another name', () => {
    const one = [stored('shop.orders', { uuid: A })]
    assert.throws(() => planned(one, [rename('shop.tmp', 'shop.orders', C, A)], ['shop.orders']), {
      code: 'NAMESPACE_INCOMPLETE',
    })
  })

  it('leaves out the life before a drop, also under the same UUID', () => {
    const operations = [
      command('shop', { drop: 'orders' }, A),
      command('shop', { create: 'orders' }, A),
      command('shop', { create: 'orders' }, A),
    ]
    const { restored, created, choice } = planned([stored('shop.orders', { uuid: A })], operations, ['shop.orders'])
    assert.deepEqual([restored, created], [[], ['shop.orders']])
    assert.equal(choice.choose(change('shop.orders', { _id: 1 }, A), 1n), undefined)
    assert.ok(choice.choose(change('shop.orders', { _id: 1 }, A), 2n))
  })

  it('keeps no collection temporary that was renamed', () => {
    const operations = [
      command('shop', { create: 'tmp.agg', temp: true }, B),
      rename('shop.tmp.agg', 'shop.orders', B, A),
    ]
    const { choice } = planned([stored('shop.orders', { uuid: A })], operations, ['shop.orders'])
    const chosen = choice.choose(operations[0] as Operation, 1n)
    assert.deepEqual(BSON.deserialize(chosen?.o ?? Buffer.alloc(0)), { create: 'orders' })
  })

  it('has a time series with its buckets, a view by its name, and passes over what was seen twice', () => {
    const both = [stored('shop.ts', { type: 'timeseries' }), stored('shop.v', { type: 'view' })]
    const { restored, choice } = planned(both, [], ['shop.ts'])
    assert.deepEqual(restored, ['ts>shop.ts'])
    assert.ok(choice.choose(change('shop.system.buckets.ts', { _id: 1 }, C), 1n))
    assert.ok(choice.choose(change('shop.system.views', { _id: 'shop.ts' }), 1n))
    assert.equal(choice.choose(change('shop.system.views', { _id: 'shop.v' }), 1n), undefined)

    const history = new NamespaceHistory([stored('shop.a', { uuid: A })])
    history.see(rename('shop.a', 'shop.b', A), 5n)
    history.see(rename('shop.b', 'shop.a', A), 4n)
    assert.equal(history.alive.get(A)?.ns, 'shop.b')
  })

  const view = (viewOn: string) => Buffer.from(BSON.serialize({ viewOn, pipeline: [] }))
  const decoded = (document: Buffer | undefined) => BSON.deserialize(document ?? Buffer.alloc(0))

  it('puts collections, time series with their buckets and views elsewhere, and views upon what moved with them', () => {
    const all = [
      stored('shop.a', { uuid: A }),
      stored('shop.ts', { type: 'timeseries' }),
      stored('shop.v', { type: 'view', options: view('a') }),
    ]
    const whole = planned(all, [], ['shop.*'], 'old.*')
    assert.deepEqual(whole.restored, ['ts>old.ts', 'v>old.v', 'a>old.a'].sort())
    const { restored, choice } = planned(all, [], ['shop.ts', 'shop.v', 'shop.a'], 'old.ts2', 'old.v2', 'old.a2')
    assert.deepEqual(restored.sort(), ['a>old.a2', 'ts>old.ts2', 'v>old.v2'])
    assert.equal(choice.choose(change('shop.system.buckets.ts', { _id: 1 }), 1n)?.ns, 'old.system.buckets.ts2')
    const series = choice.choose(change('shop.system.views', { _id: 'shop.ts', viewOn: 'system.buckets.ts' }), 1n)
    assert.equal(series?.ns, 'old.system.views')
    assert.deepEqual(decoded(series?.o), { _id: 'old.ts2', viewOn: 'system.buckets.ts2' })
    const shown = choice.choose(change('shop.system.views', { _id: 'shop.v', viewOn: 'a' }), 1n)
    assert.deepEqual(decoded(shown?.o), { _id: 'old.v2', viewOn: 'a2' })
    const updated = {
      ...change('shop.system.views', { $v: 2, diff: { u: { viewOn: 'a' } } }),
      ...{ op: 'u', o2: Buffer.from(BSON.serialize({ _id: 'shop.v' })) },
    }
    const moved = choice.choose(updated, 1n)
    assert.deepEqual(decoded(moved?.o), { $v: 2, diff: { u: { viewOn: 'a2' } } })
    assert.deepEqual(decoded(moved?.o2), { _id: 'old.v2' })
  })

  it('refuses two that would have one place', () => {
    const both = [stored('one.a', { uuid: A }), stored('two.a', { uuid: B })]
    assert.throws(() => planned(both, [], ['one.*', 'two.a'], 'x.*', 'x.a'), {
      code: 'NAMESPACE_EXISTS',
      message: /one\.a and two\.a would both become x\.a|two\.a and one\.a would both become x\.a/,
    })
  })
})
