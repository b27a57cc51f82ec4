import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  BACKUP_REPLSET_STATES,
  BACKUP_STATES,
  DELETION_STATES,
  hasReached,
  isFailure,
  isTerminal,
  PITR_STATES,
  RESTORE_REPLSET_STATES,
  RESTORE_STATES,
  type StateMachine,
  sourcesOf,
} from './state-machine.js'

const machines: [string, StateMachine<string>][] = [
  ['backup', BACKUP_STATES],
  ['replica set of a backup', BACKUP_REPLSET_STATES],
  ['restore', RESTORE_STATES],
  ['replica set of a restore', RESTORE_REPLSET_STATES],
]

for (const [name, machine] of machines) {
  const states = [...new Set([...machine.order, ...machine.terminal])]
  describe(`states of a ${name}`, () => {
    it('end in terminal states, which nothing leaves', () => {
      fc.assert(
        fc.property(fc.constantFrom(...machine.terminal), fc.constantFrom(...states), (end, to) => {
          assert(!sourcesOf(machine, to).includes(end))
        }),
      )
    })

    it('can fail from wherever they have not ended, by the watch too', () => {
      for (const failure of Object.keys(machine.failures)) {
        const open = states.filter((state) => !isTerminal(machine, state))
        assert.deepEqual(sourcesOf(machine, failure, 'watch').sort(), open.sort())
        assert(isFailure(machine, failure) && isTerminal(machine, failure))
      }
    })

    it('only ever go forward', () => {
      for (const to of machine.order) {
        for (const from of sourcesOf(machine, to)) {
          assert(machine.order.indexOf(from) < machine.order.indexOf(to), `${from} → ${to}`)
        }
      }
    })

    it('can all be reached, and done from each', () => {
      const reached = new Set(['starting'])
      for (const state of machine.order)
        if (sourcesOf(machine, state).some((from) => reached.has(from))) reached.add(state)
      assert.deepEqual([...reached].sort(), [...machine.order].sort())
      for (const from of machine.order.slice(0, -1)) {
        const next = machine.order.filter((to) => sourcesOf(machine, to).includes(from))
        assert(next.length > 0, `nothing follows ${from}`)
      }
    })

    it('imply the states before them, failures none', () => {
      for (const [at, state] of machine.order.entries()) {
        for (const [target, other] of machine.order.entries()) {
          assert.equal(hasReached(machine, state, other), at >= target)
        }
        assert.equal(hasReached(machine, 'error', state), false)
      }
      assert.equal(hasReached(machine, 'error', 'error'), true)
    })
  })
}

describe('who may move a backup', () => {
  it('is fixed: only a person finishes a copy, only the leader says done', () => {
    assert.deepEqual(sourcesOf(BACKUP_STATES, 'copyDone', 'operator'), ['copyReady'])
    assert.deepEqual(sourcesOf(BACKUP_STATES, 'copyDone', 'leader'), [])
    assert.deepEqual(sourcesOf(BACKUP_STATES, 'done', 'watch'), [])
    assert.deepEqual(sourcesOf(BACKUP_STATES, 'done', 'nominee'), [])
    assert.deepEqual(sourcesOf(BACKUP_STATES, 'canceled', 'nominee'), [])
  })
})

describe('states of slicing', () => {
  it('begin anew from anywhere, since the leader before may have died there', () => {
    assert.deepEqual(sourcesOf(PITR_STATES, 'ready', 'clusterLeader').sort(), [...PITR_STATES.order].sort())
  })

  it('have slicers run only after an election, and begin another one but once', () => {
    assert.deepEqual(sourcesOf(PITR_STATES, 'running'), ['ready'])
    assert(!sourcesOf(PITR_STATES, 'reconfig').includes('reconfig'))
  })

  it('are for nobody but the cluster leader to change', () => {
    for (const to of PITR_STATES.order) assert.deepEqual(sourcesOf(PITR_STATES, to, 'nominee'), [])
  })
})

describe('a backup that is being deleted', () => {
  it('is no good from then on, whatever it was, and for nobody else to mark so', () => {
    const all = [...new Set([...BACKUP_STATES.order, ...BACKUP_STATES.terminal])]
    assert.deepEqual(sourcesOf(DELETION_STATES, 'error', 'deletion').sort(), all.sort())
    assert.deepEqual(sourcesOf(DELETION_STATES, 'error', 'watch'), [])
    for (const to of BACKUP_STATES.order) assert.deepEqual(sourcesOf(DELETION_STATES, to), [])
  })
})
