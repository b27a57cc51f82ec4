import assert from 'node:assert/strict'
import { Timestamp } from 'mongodb'
import type { AgentDocument } from '../control/agents.js'
import { answeredPlaces, otherPlaceText, placesText, storagePlaces } from './storage-places.js'

const now = new Timestamp({ t: 1_000, i: 1 })
const epoch = new Timestamp({ t: 900, i: 1 })
const well = { ok: true, e: '' }

function agent(n: string, more: Partial<AgentDocument>): AgentDocument {
  const node = { s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 }
  const told = { v: '2', mv: '8.0', pbms: well, nodes: well, stors: well, hb: now, e: '', epoch, place: { id: 'a' } }
  return { n, rs: 'rs0', ...node, ...told, ...more }
}

describe('what agents see as the storage', () => {
  it('is one place, or several, that of most members first', () => {
    assert.deepEqual(storagePlaces([agent('1', {}), agent('2', {})], now, epoch), [
      { id: 'a', members: ['rs0/1', 'rs0/2'] },
    ])
    const agents = [agent('1', { place: {} }), agent('2', {}), agent('3', {})]
    const places = storagePlaces(agents, now, epoch)
    assert.deepEqual(places, [
      { id: 'a', members: ['rs0/2', 'rs0/3'] },
      { id: undefined, members: ['rs0/1'] },
    ])
    assert.match(
      placesText(places),
      /: rs0\/2, rs0\/3 see storage a; rs0\/1 sees one that nothing was ever written to$/,
    )
  })

  it('is not that of one who hangs since before the others wrote there', () => {
    const places = (place: NonNullable<AgentDocument['place']>) =>
      answeredPlaces([agent('1', {}), agent('2', { place })], now, epoch, 'asked').length
    assert.equal(places({}), 1)
    assert.equal(places({ opid: 'before' }), 1)
    assert.equal(places({ opid: 'asked' }), 2)
    assert.equal(places({ other: true }), 2)
    assert.equal(places({ id: 'b' }), 2)
  })

  it('is wrong for those who see another place than most, or for all', () => {
    const told = (...members: string[][]) => {
      const places = members.map((of, index) => ({ id: String(index), members: of }))
      return members.flat().filter((member) => otherPlaceText(member, places) !== undefined)
    }
    assert.deepEqual(told(['a', 'b'], ['c']), ['c'])
    assert.deepEqual(told(['a'], ['b']), ['a', 'b'])
    assert.deepEqual(told(['a', 'b', 'c']), [])
    assert.equal(otherPlaceText('elsewhere', [{ id: 'a', members: ['a'] }]), undefined)
  })

  it('is nothing of agents that are dead, of PBM, of an arbiter, that can not look, or know another configuration', () => {
    const { place: _, ...pbm } = agent('pbm', {})
    const others = [
      agent('dead', { hb: new Timestamp({ t: 900, i: 1 }) }),
      pbm,
      agent('arbiter', { arb: true }),
      agent('unwell', { place: {}, stors: { ok: false, e: 'no' } }),
      agent('behind', { place: { id: 'b' }, epoch: new Timestamp({ t: 800, i: 1 }) }),
    ]
    assert.deepEqual(storagePlaces([agent('1', {}), ...others], now, epoch), [{ id: 'a', members: ['rs0/1'] }])
  })
})
