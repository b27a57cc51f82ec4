import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { PbmError } from '../errors.js'
import { optime } from '../oplog/entry.js'
import { planPointInTime, planReplay } from './plan-restore.js'
import type { Base, ChunkBounds } from './timelines.js'

const at = (t: number, i = 1) => new Timestamp({ t, i })
const seconds = (t: number) => optime({ t, i: 0 })
const chunk = (start: number, end: number, rs = 'rs0'): ChunkBounds => ({ rs, start_ts: at(start), end_ts: at(end) })
const base = (name: string, end: number): Base => ({ name, last_write_ts: at(end), replsets: [{ name: 'rs0' }] })

function refused(question: Parameters<typeof planPointInTime>[0], message: RegExp, hint: RegExp): void {
  assert.throws(
    () => planPointInTime(question),
    (error: unknown) => {
      assert.ok(error instanceof PbmError)
      assert.equal(error.code, 'RESTORE_TIME')
      assert.match(error.message, message)
      assert.match(error.hint ?? '', hint)
      return true
    },
  )
}

describe('The base of a restore to a time', () => {
  const [old, recent, late] = [base('old', 100), base('recent', 200), base('late', 500)]
  const bases = [recent, old, late]
  const chunks = [chunk(90, 150), chunk(150, 300), chunk(310, 400), chunk(490, 600)]

  it('is the newest that leads there, unless one is given', () => {
    assert.equal(planPointInTime({ chunks, bases, target: seconds(120) }), old)
    assert.equal(planPointInTime({ chunks, bases, target: seconds(300) }), recent)
    assert.equal(planPointInTime({ chunks, bases, target: seconds(300), base: old }), old)
    assert.equal(planPointInTime({ chunks, bases, target: seconds(600) }), late)
  })

  it('is a preferred one, also an older one, where one of them leads there', () => {
    const isPreferred = ({ name }: Base) => name === 'old'
    assert.equal(planPointInTime({ chunks, bases, target: seconds(300), isPreferred }), old)
    assert.equal(planPointInTime({ chunks, bases, target: seconds(600), isPreferred }), late)
  })

  it('is none outside of the ranges, and the nearest times are told', () => {
    const of = (target: number) => ({ chunks, bases, target: seconds(target) })
    refused(of(50), /1970-01-01T00:00:50 lies before the first time/, /nearest time is 1970-01-01T00:01:41;/)
    refused(of(700), /lies after the last time/, /nearest time is 1970-01-01T00:10:00;/)
    refused(
      of(350),
      /between two ranges.*rs0 has a gap from 1970-01-01T00:05:00 \(300,1\) to 1970-01-01T00:05:10/,
      /00:05:00 and 1970-01-01T00:08:21/,
    )
    refused({ chunks: [], bases, target: seconds(150) }, /no backup with stored oplog after it/, /pbm list/)
    refused({ chunks, bases: [], target: seconds(150) }, /no backup with stored oplog after it/, /pbm list/)
  })

  it('does not lead beyond what changed the cluster, and is told why', () => {
    const barriers = [{ ts: at(250), what: 'shard s3 was added' }]
    const crossed = [{ ...chunk(90, 300), barriers }, chunk(300, 400)]
    const why = /shard s3 was added at 1970-01-01T00:04:10 \(250,1\), and only a backup made after it leads further/
    refused({ chunks: crossed, bases, target: seconds(300) }, why, /nearest time is 1970-01-01T00:04:10;/)
    refused({ chunks: crossed, bases, target: seconds(300), base: old }, why, /00:04:10;/)
    assert.equal(planPointInTime({ chunks: crossed, bases, target: seconds(250) }), recent)
    const after = base('after', 260)
    assert.equal(planPointInTime({ chunks: crossed, bases: [...bases, after], target: seconds(300) }), after)
  })

  it('that is given must lead there itself', () => {
    refused(
      { chunks, bases, target: seconds(150), base: recent },
      /recent holds the state of .* not before/,
      /00:03:21/,
    )
    refused(
      { chunks, bases, target: seconds(350), base: old },
      /reaches 1970-01-01T00:05:00 \(300,1\).*gap/,
      /00:05:00;/,
    )
    refused({ chunks, bases, target: seconds(450), base: base('x', 450) }, /x holds the state of/, /pbm list/)
    refused(
      { chunks, bases, target: seconds(480), base: base('x', 450) },
      /No stored oplog goes on from the end of backup x/,
      /pbm list/,
    )
  })
})

describe('The chunks of a replay', () => {
  const [a, b, c] = [chunk(100, 200), chunk(200, 300), chunk(310, 400)]
  const of = (start: bigint, end: bigint) => planReplay({ chunks: [b, a, c], rs: 'rs0', start, end })

  it('are those that lead from the start to the end, in order', () => {
    assert.deepEqual(of(seconds(150), seconds(250)), [a, b])
    assert.deepEqual(of(seconds(250), seconds(260)), [b])
    assert.deepEqual(of(optime({ t: 310, i: 1 }), optime({ t: 400, i: 1 })), [c])
  })

  it('may begin in the second that is asked for', () => {
    assert.deepEqual(of(seconds(310), seconds(350)), [c])
    assert.throws(() => of(seconds(309), seconds(350)), { code: 'REPLAY_RANGE' })
  })

  it('are refused outside of what is stored, and over a gap', () => {
    assert.throws(() => of(seconds(50), seconds(150)), { code: 'REPLAY_RANGE', message: /No stored oplog of rs0/ })
    assert.throws(() => of(seconds(250), seconds(350)), {
      code: 'REPLAY_RANGE',
      message: /reaches 1970-01-01T00:05:00/,
    })
    assert.throws(() => of(seconds(250), seconds(250)), { code: 'REPLAY_RANGE', message: /does not lie after/ })
    const none = () => planReplay({ chunks: [], rs: 'rs0', start: seconds(1), end: seconds(2) })
    assert.throws(none, { code: 'REPLAY_RANGE', hint: /--unbacked/ })
  })
})
