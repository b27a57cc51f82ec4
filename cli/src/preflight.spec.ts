import assert from 'node:assert/strict'
import type { AgentDocument } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { physicalFault } from './preflight.js'

const NOW = new Timestamp({ t: 1000, i: 1 })
const CONFIG = { storage: { type: 'filesystem' } }

function view(more: Partial<AgentDocument>) {
  const ok = { ok: true, e: '' }
  const state = { s: 1, str: 'PRIMARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 }
  const of = {
    ...{ n: 'a:1', rs: 'rs0', v: '2.15.0', mv: '8.0.1', pbms: ok, nodes: ok, stors: ok, hb: NOW, e: '' },
    ...state,
  }
  return {
    agents: [{ ...of, ...more }],
    now: NOW,
    replsets: [{ rs: 'rs0', id: 'rs0', members: [{ host: 'a:1', role: 'primary' as const }] }],
  }
}

describe('what a physical backup lacks that a logical one has', () => {
  it('is told with its reason, and only then', () => {
    assert.equal(physicalFault(view({ physical: { ok: true, e: '' } }), CONFIG), undefined)
    const lacking = physicalFault(view({ physical: { ok: false, e: 'no right to lock' } }), CONFIG)
    assert.match(lacking?.message ?? '', /no right to lock/)
    // Where no backup at all can be made, that is another matter.
    assert.equal(physicalFault(view({ hb: new Timestamp({ t: 1, i: 1 }) }), CONFIG), undefined)
  })
})
