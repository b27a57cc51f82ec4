import assert from 'node:assert/strict'
import { type SeenMember, sourcesOfOthers, spareFault } from './spare-member.js'

describe('a member that is locked for long', () => {
  const configured = (...others: object[]) =>
    [{}, ...others].map((member, index) => ({ host: `h${index}`, votes: 1, arbiterOnly: false, ...member }))
  const seen = (...sources: (string | undefined)[]): SeenMember[] =>
    sources.map((source, index) => ({ name: `h${index}`, state: source === undefined ? 1 : 2, source }))

  it('leaves a majority that has the data', () => {
    assert.equal(spareFault('h1', configured({}, {}), seen(undefined, 'h0', 'h0')), undefined)
    assert.equal(spareFault('h1', configured({ votes: 0 }), seen(undefined, 'h0')), undefined)
    assert.match(spareFault('h1', configured({}), seen(undefined, 'h0')) ?? '', /a majority is 2/)
    const arbiter = [...seen(undefined, 'h0'), { name: 'h2', state: 7, source: undefined }]
    assert.match(spareFault('h1', configured({}, { arbiterOnly: true }), arbiter) ?? '', /a majority is 2/)
    const down = [...seen(undefined, 'h0'), { name: 'h2', state: 8, source: undefined }]
    assert.match(spareFault('h1', configured({}, {}), down) ?? '', /1 members have the data/)
  })

  it('is none from whom others get what they need for that', () => {
    const chain = seen(undefined, 'h0', 'h1')
    assert.match(spareFault('h1', configured({}, {}), chain) ?? '', /h2 gets the oplog from this member/)
    assert.equal(spareFault('h2', configured({}, {}), chain), undefined)
    const four = seen(undefined, 'h0', 'h1', 'h2', 'h0')
    assert.match(spareFault('h1', configured({}, {}, {}, {}), four) ?? '', /h2, h3 gets/)
    assert.deepEqual([...sourcesOfOthers(four)].sort(), ['h0', 'h1', 'h2'])
  })
})
