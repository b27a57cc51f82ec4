import assert from 'node:assert/strict'
import { Timestamp } from 'mongodb'
import type { AgentDocument } from '../control/agents.js'
import { type AgentNeeds, candidates, physicalNeeds, unfitness } from './fitness.js'

const NOW = 1_700_000_000
const now = new Timestamp({ t: NOW, i: 1 })
const fine = { ok: true, e: '' }
const agent = (fields: Partial<AgentDocument> = {}): AgentDocument => ({
  ...{ n: 'a:1', rs: 'rs0', s: 2, str: 'SECONDARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 },
  ...{ v: '2.15.0', mv: '6.0.5', pbms: fine, nodes: fine, stors: fine, hb: now, e: '' },
  ...fields,
})

describe('candidates', () => {
  it('leave out agents that would store in the clear what is to be sealed', () => {
    const plugins = { storage: [], compression: [], encryption: ['aes'] }
    const [ours, pbms] = [agent({ n: 'ours:1', plugins }), agent({ n: 'pbms:1' })]
    assert.deepEqual(
      candidates([ours, pbms], now, { encryption: 'aes' }).map(({ n }) => n),
      ['ours:1'],
    )
    assert.equal(candidates([ours, pbms], now, { encryption: 'none' }).length, 2)
  })

  for (const [name, fields, code] of [
    ['a healthy secondary', {}, undefined],
    ['the primary', { s: 1, str: 'PRIMARY' }, undefined],
    ['one that lags 20 s', { repl_lag: 20 }, undefined],
    ['one that lags 21 s', { repl_lag: 21 }, 'lagging'],
    ['one silent for 35 s', { hb: new Timestamp({ t: NOW - 35, i: 1 }) }, undefined],
    ['one silent for 36 s', { hb: new Timestamp({ t: NOW - 36, i: 1 }) }, 'silent'],
    ['an arbiter', { arb: true, s: 7 }, 'arbiter'],
    ['one that recovers', { s: 3, str: 'RECOVERING' }, 'state'],
    ['a delayed one', { delay: 1 }, 'delayed'],
    ['one without its storage', { stors: { ok: false, e: 'denied' } }, 'storage'],
    ['one without its leader', { pbms: { ok: false, e: 'gone' } }, 'leader'],
    ['one without its node', { nodes: { ok: false, e: 'down' } }, 'node'],
  ] as const) {
    it(`${code === undefined ? 'take' : 'leave out'} ${name}`, () => {
      assert.equal(candidates([agent(fields)], now).length, code === undefined ? 1 : 0)
      assert.equal(unfitness(agent(fields), now)?.code, code)
    })
  }

  it('leave out one of ours without a plugin that is needed, and take those of PBM', () => {
    const plugins = { storage: ['s3'], compression: ['zstd'], encryption: [] }
    const missing = (needs: AgentNeeds) => unfitness(agent({ plugins, stors: { ok: false, e: 'denied' } }), now, needs)
    assert.deepEqual(missing({ storage: 'sftp' }), { code: 'plugin', kind: 'storage', name: 'sftp' })
    assert.deepEqual(missing({ storage: 's3', compression: 'lz4' }), {
      code: 'plugin',
      kind: 'compression',
      name: 'lz4',
    })
    assert.deepEqual(missing({ storage: 's3', compression: 'zstd' }), { code: 'storage' })
    assert.equal(unfitness(agent(), now, { storage: 'sftp', compression: 'lz4' }), undefined)
  })

  it('can not be judged by a plugin that is configured by the name of its package', () => {
    const plugins = { storage: ['s3'], compression: [], encryption: [] }
    for (const storage of ['@acme/storage', 'pbmkit-storage-tape']) {
      assert.equal(unfitness(agent({ plugins }), now, { storage }), undefined)
    }
  })

  it('for physical backups are secondaries whose files can be copied, and a primary where it may be locked', () => {
    const why = (fields: Partial<AgentDocument>, allowPrimary = false) => {
      const found = unfitness(agent(fields), now, { physical: { allowPrimary } })
      return found?.code === 'physical' ? found.reason : found?.code
    }
    assert.equal(why({ physical: fine }), undefined)
    assert.match(why({}) ?? '', /makes no physical backups/)
    assert.equal(
      why({ physical: { ok: false, e: 'its storage engine is inMemory' } }),
      'its storage engine is inMemory',
    )
    assert.match(why({ physical: fine, s: 1 }) ?? '', /it is the primary/)
    assert.equal(why({ physical: fine, s: 1 }, true), undefined)
    assert.equal(why({ physical: fine, delay: 60 }), 'delayed')
  })

  it('include a primary that is alone', () => {
    const members = [
      { host: 'a:1', role: 'primary' },
      { host: 'b:1', role: 'arbiter' },
    ] as const
    assert.equal(physicalNeeds({ members: [...members] })?.allowPrimary, true)
    const more = [...members, { host: 'c:1', role: 'secondary' } as const]
    assert.equal(physicalNeeds({ members: more })?.allowPrimary, false)
    assert.equal(physicalNeeds({ members: more }, { allowPrimary: true })?.allowPrimary, true)
  })
})
