import assert from 'node:assert/strict'
import type { AgentDocument, AgentKeys } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { answersOf, unasked } from './same-keys.js'

const now = new Timestamp({ t: 1000, i: 1 })
const old = new Timestamp({ t: 900, i: 1 })
const keys = { method: 'aes-gcm', ids: ['new'] }
const answer = (given: Partial<AgentKeys> = {}): AgentKeys => ({ ...keys, e: '', opid: 'this', ...given })

function agent(n: string, given: Partial<AgentDocument>): AgentDocument {
  const well = { ok: true, e: '' }
  const plugins = { storage: [], compression: [] }
  return {
    ...{ n, rs: 'rs0', s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 },
    ...{ v: '2.15.0', mv: '6.0.5', pbms: well, nodes: well, stors: well, hb: now, e: '', plugins },
    ...given,
  }
}

function told(...agents: AgentDocument[]) {
  const { others, waiting } = answersOf(agents, now, 'this', keys)
  const names = (list: readonly AgentDocument[]) => list.map(({ n }) => n)
  return { others: names(others), waiting: names(waiting) }
}

describe('what agents say of their keys', () => {
  it('is enough when each that lives has the same', () => {
    assert.deepEqual(told(agent('a', { keys: answer() }), agent('b', { keys: answer() })), {
      others: [],
      waiting: [],
    })
  })

  it('names who has another key in front, another method, or none', () => {
    const answers = [answer({ ids: ['old'] }), answer({ method: 'other' }), answer({ ids: [], e: 'no such file' })]
    const agents = answers.map((one, index) => agent(`n${index}`, { keys: one }))
    assert.deepEqual(told(agent('a', { keys: answer() }), ...agents).others, ['n0', 'n1', 'n2'])
  })

  it('waits for who has looked before the command came, or never', () => {
    const agents = [agent('never', {}), agent('before', { keys: answer({ opid: 'another' }) })]
    assert.deepEqual(told(...agents).waiting, ['never', 'before'])
    assert.deepEqual(told(...agents).others, [])
  })

  it('can not come from who is silent, whatever it said last', () => {
    assert.deepEqual(told(agent('gone', { hb: old, keys: answer({ ids: ['old'] }) })), { others: [], waiting: [] })
  })

  it('lacks that of members without a live agent: its record may still be there, long gone, or never have been', () => {
    const member = (host: string, role: 'secondary' | 'arbiter' = 'secondary') => ({ host, role })
    const replsets = [
      { rs: 'rs0', id: 'config', members: [member('a'), member('gone'), member('never'), member('arb', 'arbiter')] },
      { rs: 'rs1', id: 's1', members: [member('a'), member('pbm')] },
    ]
    const { plugins: _, ...theirs } = agent('pbm', { rs: 'rs1' })
    const hidden = agent('hidden', { rs: 'rs1', hb: old })
    const agents = [agent('a', {}), agent('gone', { hb: old }), agent('arb', { arb: true, hb: old }), hidden, theirs]
    assert.deepEqual(unasked(replsets, agents, now), ['rs0/gone', 'rs0/never', 'rs1/a', 'rs1/hidden'])
  })

  it('asks neither arbiters nor agents of PBM', () => {
    const { plugins: _, ...theirs } = agent('pbm', {})
    assert.deepEqual(told(agent('arbiter', { arb: true }), theirs), { others: [], waiting: [] })
  })
})
