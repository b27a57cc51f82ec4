import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Timestamp } from 'mongodb'
import type { AgentDocument } from '../control/agents.js'
import { nominationGroups, priorityOf } from './priority.js'

const NOW = 1_700_000_000
const now = new Timestamp({ t: NOW, i: 1 })
const fine = { ok: true, e: '' }
const agent = (fields: Partial<AgentDocument> = {}): AgentDocument => ({
  ...{ n: 'a:1', rs: 'rs0', s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 },
  ...{ v: '2.15.0', mv: '6.0.5', pbms: fine, nodes: fine, stors: fine, hb: now, e: '' },
  ...fields,
})

describe('priority', () => {
  for (const [name, fields, score] of [
    ['a secondary', {}, 1],
    ['the primary', { s: 1 }, 0.5],
    ['a hidden member', { hdn: true }, 2],
    ['a delayed member', { delay: 60, hdn: true }, 0],
  ] as const) {
    it(`of ${name} is ${score}`, () => assert.equal(priorityOf(agent(fields)), score))
  }

  it('comes from the configuration as soon as that names any node', () => {
    const priority = { 'b:1': 5, 'c:1': 0, 'd:1': -3 }
    const scores = ['a:1', 'b:1', 'c:1', 'd:1'].map((n) => priorityOf(agent({ n, s: 1, hdn: true }), { priority }))
    assert.deepEqual(scores, [1, 5, 0, 1])
    assert.equal(priorityOf(agent({ s: 1 }), { priority: {} }), 0.5)
  })

  it('heeds coefficients only without a configured map', () => {
    const coefficients = { 'a:1': 3 }
    assert.equal(priorityOf(agent({ s: 1 }), { coefficients }), 3)
    assert.equal(priorityOf(agent(), { coefficients, priority: { 'x:1': 9 } }), 1)
  })

  it('is not taken from what a map inherits', () => {
    assert.equal(priorityOf(agent({ n: 'constructor' }), { coefficients: {}, priority: { 'x:1': 9 } }), 1)
  })
})

describe('nomination groups', () => {
  const agents = fc.uniqueArray(
    fc.record({
      n: fc.stringMatching(/^[a-z]{1,3}:1$/),
      rs: fc.constantFrom('rs0', 'rs1'),
      s: fc.constantFrom(1, 2),
      hdn: fc.boolean(),
    }),
    { selector: ({ n }) => n },
  )

  it('hold each node of the set once, by descending priority, equals together', () => {
    fc.assert(
      fc.property(agents, fc.integer(), (fields, seed) => {
        const all = fields.map((one) => agent(one))
        let state = seed
        const random = () => {
          state = (state * 48_271 + 11) % 2_147_483_647
          return (state >>> 0) / 4_294_967_296
        }
        const groups = nominationGroups(all, 'rs0', {}, random)
        const own = all.filter(({ rs }) => rs === 'rs0')
        assert.deepEqual(groups.flat().sort(), own.map(({ n }) => n).sort())
        const scores = groups.map(
          (group) => new Set(group.map((n) => priorityOf(own.find((one) => one.n === n) ?? agent()))),
        )
        assert(scores.every(({ size }) => size === 1))
        const order = scores.flatMap((one) => [...one])
        assert.deepEqual(
          order,
          [...new Set(order)].sort((a, b) => b - a),
        )
      }),
    )
  })

  it('draw equals at random', () => {
    const equals = ['a:1', 'b:1', 'c:1'].map((n) => agent({ n }))
    const firsts = new Set(Array.from({ length: 200 }, () => nominationGroups(equals, 'rs0')[0]?.[0]))
    assert.equal(firsts.size, 3)
  })
})
