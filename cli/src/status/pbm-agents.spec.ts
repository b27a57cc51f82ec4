import assert from 'node:assert/strict'
import type { AgentDocument } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { lostToPbm, type MixedFacts } from './pbm-agents.js'

const NOW = new Timestamp({ t: 1000, i: 1 })
const OURS = { pbmkit: '0.1.0' }

function agent(n: string, more: Partial<AgentDocument> = {}): AgentDocument {
  const ok = { ok: true, e: '' }
  const state = { s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 }
  return { n, rs: 'rs0', ...state, v: '2.15.0', mv: '8.0.5', pbms: ok, nodes: ok, stors: ok, hb: NOW, e: '', ...more }
}

function facts(agents: AgentDocument[], more: Partial<MixedFacts> = {}): MixedFacts {
  const members = [
    { host: 'a:1', role: 'primary' as const },
    { host: 'b:1', role: 'secondary' as const },
  ]
  const replsets = [{ rs: 'rs0', id: 'rs0', members }]
  return { agents, now: NOW, replsets, config: undefined, slicers: [], hasRuns: false, ...more }
}

describe("what is lost by PBM's agents", () => {
  it('is nothing where all are ours, or the others are dead', () => {
    assert.equal(lostToPbm('rs0', facts([agent('a:1', OURS), agent('b:1', OURS)], { hasRuns: true })), undefined)
    const dead = agent('b:1', { hb: new Timestamp({ t: 1, i: 1 }) })
    assert.equal(lostToPbm('rs0', facts([agent('a:1', OURS), dead], { hasRuns: true })), undefined)
  })

  it('are schedules, where it leads', () => {
    const own = agent('b:1', OURS)
    assert.match(lostToPbm('rs0', facts([agent('a:1'), own], { hasRuns: true })) ?? '', /beside a:1: schedules are not/)
    assert.match(lostToPbm('rs0', facts([agent('a:1')], { hasRuns: true })) ?? '', /schedules are not run/)
    // Beside a secondary it leads only where nobody is beside the primary, and it is the first by name.
    const others = [agent('b:1'), agent('c:1', OURS)]
    assert.match(lostToPbm('rs0', facts(others, { hasRuns: true })) ?? '', /schedules are not run/)
    const led = lostToPbm('rs0', facts([agent('a:1', OURS), ...others], { hasRuns: true }))
    assert.doesNotMatch(led ?? '', /schedules/)
    assert.match(led ?? '', /beside b:1: no physical backups there.*Run pbmkit's pbm-agent there/)
  })

  it('are checksums of the oplog that it stores, and that it is sealed', () => {
    const both = [agent('a:1', OURS), agent('b:1')]
    assert.match(lostToPbm('rs0', facts(both, { slicers: ['rs0/b:1'] })) ?? '', /the oplog it stores has no checksums/)
    assert.doesNotMatch(lostToPbm('rs0', facts(both, { slicers: ['rs0/a:1'] })) ?? '', /checksums/)
    const config = { encryption: { type: 'age', age: { recipients: ['x'] } } } as MixedFacts['config']
    assert.match(lostToPbm('rs0', facts(both, config === undefined ? {} : { config })) ?? '', /in the clear/)
  })

  it("is nothing to tell where all are PBM's, and nothing of ours is set", () => {
    assert.equal(lostToPbm('rs0', facts([agent('a:1'), agent('b:1')])), undefined)
  })
})
