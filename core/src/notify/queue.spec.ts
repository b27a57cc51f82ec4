import assert from 'node:assert/strict'
import type { NotificationConfig } from '../config/notifications.js'
import { NO_NOTICES, type Notice } from '../control/notice-state.js'
import { enqueue, MOST_ATTEMPTS, settle, TAKEN_MS, takeDue } from './queue.js'

const webhook = { url: 'https://example.net/' }
const email = { from: 'a@example.net', to: ['b@example.net'], smtp: { host: 'h' } }
const BOTH: NotificationConfig = { name: 'both', on: ['failed'], webhook, email }
const HOOK: NotificationConfig = { name: 'hook', on: ['failed', 'succeeded'], webhook }

function notice(id: string, event: Notice['event'] = 'failed', text = 'text'): Notice {
  return { id, event, subject: text, text, at: 1 }
}

const routes = (state: typeof NO_NOTICES) =>
  state.queue.map(({ notice: { id }, to, channel }) => `${id} ${to} ${channel}`)

describe('the queue of notices', () => {
  it('has one entry for each who asked and each way of telling', () => {
    const first = enqueue(NO_NOTICES, [{ notice: notice('1') }], [BOTH, HOOK])
    const second = enqueue(first, [{ notice: notice('2', 'succeeded') }, { notice: notice('3', 'late') }], [BOTH, HOOK])
    const third = enqueue(second, [{ notice: notice('t', 'test'), to: ['hook'] }], [BOTH, HOOK])
    assert.deepEqual(routes(third), [
      ...['1 both webhook', '1 both email', '1 hook webhook'],
      ...['2 hook webhook', 't hook webhook'],
    ])
  })

  it('has a bound, and so have its texts', () => {
    const many = Array.from({ length: 250 }, (_, index) => ({
      notice: notice(`${index}`, 'failed', 'x'.repeat(9_000)),
    }))
    const state = enqueue(NO_NOTICES, many, [HOOK])
    assert.deepEqual([state.queue.length, state.dropped, state.queue[0]?.notice.id], [200, 50, '50'])
    assert.ok(JSON.stringify(state).length < 600_000)
  })

  it('gives each to one agent at a time, and to another when that one died', () => {
    const state = enqueue(NO_NOTICES, [{ notice: notice('1') }, { notice: notice('2') }], [HOOK])
    const first = takeDue(state, [HOOK], { now: 0, limit: 1 })
    const second = takeDue(first.state, [HOOK], { now: 0, limit: 10 })
    assert.deepEqual(
      [first, second].map(({ result }) => result.map((one) => one.notice.id)),
      [['1'], ['2']],
    )
    assert.equal(takeDue(second.state, [HOOK], { now: TAKEN_MS - 1, limit: 10 }).result.length, 0)
    assert.equal(takeDue(second.state, [HOOK], { now: TAKEN_MS, limit: 10 }).result.length, 2)
    assert.equal(takeDue(second.state, [], { now: TAKEN_MS, limit: 10 }).state.queue.length, 0)
  })

  it('tries what failed again, later each time, and gives it up in the end', () => {
    let state = enqueue(NO_NOTICES, [{ notice: notice('1') }], [HOOK])
    let now = 0
    const pauses: number[] = []
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const [queued] = state.queue
      assert.ok(queued !== undefined)
      state = settle(state, queued, { now, error: 'refused' })
      const next = state.queue[0]?.notBefore
      if (next !== undefined) pauses.push(next - now)
      now = next ?? now
    }
    assert.deepEqual(pauses.slice(0, 3), [10_000, 20_000, 40_000])
    assert.equal(Math.max(...pauses), 3_600_000)
    assert.ok(now > 3 * 24 * 3_600_000 - 3_600_000)
    assert.deepEqual([state.queue.length, state.deliveries['hook/webhook']?.error], [0, 'refused'])
  })
})
