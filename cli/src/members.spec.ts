import assert from 'node:assert/strict'
import type { AgentDocument, ReplsetTopology } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { withAgentsWord } from './members.js'

const NOW = new Timestamp({ t: 1000, i: 1 })

function agent(n: string, more: Partial<AgentDocument> = {}): AgentDocument {
  const ok = { ok: true, e: '' }
  const state = { s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 }
  return { n, rs: 's1', ...state, v: '2.15.0', mv: '6.0.5', pbms: ok, nodes: ok, stors: ok, hb: NOW, e: '', ...more }
}

const set = (rs: string, hosts: string[]): ReplsetTopology => ({
  rs,
  id: rs,
  members: hosts.map((host) => ({ host, role: 'secondary' })),
})

describe('withAgentsWord', () => {
  it('takes roles of shards from their agents, and members that are listed nowhere else', () => {
    const agents = [
      agent('a:1', { s: 1 }),
      agent('b:1'),
      agent('c:1', { hdn: true }),
      agent('d:1', { arb: true, s: 7 }),
    ]
    const [, shard] = withAgentsWord([set('cfg', ['x:1']), set('s1', ['a:1', 'b:1'])], agents, NOW)
    assert.deepEqual(shard?.members, [
      { host: 'a:1', role: 'primary' },
      { host: 'b:1', role: 'secondary' },
      { host: 'c:1', role: 'hidden' },
      { host: 'd:1', role: 'arbiter' },
    ])
  })

  it('believes neither the dead nor those of other sets, and leaves the leader as it is', () => {
    const dead = agent('a:1', { s: 1, hb: new Timestamp({ t: 900, i: 1 }) })
    const agents = [dead, agent('x:1', { rs: 'cfg', s: 1 }), agent('b:1', { rs: 's2', s: 1 })]
    const sets = [set('cfg', ['x:1']), set('s1', ['a:1', 'b:1'])]
    assert.deepEqual(withAgentsWord(sets, agents, NOW), sets)
  })
})
