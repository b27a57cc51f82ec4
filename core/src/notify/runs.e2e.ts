import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { type MongoClient, ObjectId, Timestamp } from 'mongodb'
import type { NotificationConfig } from '../config/notifications.js'
import type { ScheduleConfig } from '../config/schedules.js'
import { noteRefused, sendCommand } from '../control/commands.js'
import { configCollection, MAIN, readConfig } from '../control/config.js'
import type { QueuedNotice } from '../control/notice-state.js'
import { insertChunk } from '../control/pitr-chunks.js'
import { readRunDocuments, readWholeConfig, writeNotifications } from '../control/run-documents.js'
import { noteRun, takeTick } from '../control/schedule-state.js'
import { ensureControlCollections } from '../control/setup.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { connectLeader } from '../mongo/connect.js'
import { AGENTS, BACKUPS, CONFIG, LOG, PITR_CHUNKS } from '../mongo/control-names.js'
import { ManualClock } from '../time/manual-clock.support.js'
import { lateBackups } from './late.js'
import { Notifier } from './notifier.js'
import { RunsBench } from './runs.support.js'

const HOUR = 3_600_000
const NIGHTLY: ScheduleConfig = { name: 'nightly', cron: '0 2 * * *', do: 'backup', compression: 'none' }
const TWO = Date.parse('2031-02-03T02:00:00Z')
const EVENING = TWO - 8 * HOUR

describe('what happens by itself, on a server', () => {
  let set: ReplicaSet
  let leader: MongoClient
  let bench: RunsBench
  const collection = (name: string) => leader.db('admin').collection(name)

  before(async () => {
    set = await startReplicaSet()
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })
  beforeEach(async () => {
    for (const name of ['pbmCmd', LOG]) await collection(name).drop()
    for (const name of [CONFIG, BACKUPS, PITR_CHUNKS, AGENTS]) await collection(name).deleteMany({})
    await ensureControlCollections(leader)
    await configCollection(leader).insertOne({ storage: { type: 'filesystem' }, epoch: new Timestamp({ t: 1, i: 1 }) })
    bench = new RunsBench(leader)
  })

  describe('a schedule', () => {
    it('is carried out at its time, once, whoever believes to lead', async () => {
      await bench.schedule(EVENING, NIGHTLY)
      await bench.look(TWO - 1)
      assert.deepEqual(await bench.sent(), [])
      const documents = await readRunDocuments(leader)
      const both = [bench.scheduler('a:1'), bench.scheduler('b:1')]
      await Promise.all(both.map((scheduler) => scheduler.look(documents, TWO)))
      await Promise.all(both.map((scheduler) => bench.look(TWO + 2_000, scheduler)))
      assert.deepEqual(await bench.sent(), ['backup'])
      const [command] = await bench.commands().find().toArray()
      assert.equal(command?.backup.name, '2031-02-03T02:00:00Z')
      const run = (await bench.state('nightly'))?.run
      assert.deepEqual([run?.status, run?.opid, run?.name], ['sent', command?._id.toHexString(), command?.backup.name])
      await bench.backup('2031-02-03T02:00:00Z', 'done', { opid: run?.opid ?? '' })
      await bench.look(TWO + 60_000)
      const state = await bench.state('nightly')
      assert.deepEqual(
        [state?.run, state?.last?.status, state?.last?.name],
        [undefined, 'done', '2031-02-03T02:00:00Z'],
      )
      await bench.look(TWO + HOUR)
      assert.deepEqual(await bench.sent(), ['backup'])
    })

    it('is lost by no death of the agent that leads, and sent by none twice', async () => {
      await bench.schedule(EVENING, NIGHTLY)
      const opid = new ObjectId()
      const taken = { tick: TWO, opid: opid.toHexString(), status: 'waiting' as const, by: 'rs/dead:1' }
      assert.ok(await takeTick(leader, 'nightly', { tick: TWO, run: taken }, TWO))
      assert.equal(await takeTick(leader, 'nightly', { tick: TWO, run: taken }, TWO), false)
      await bench.look(TWO + 40_000)
      assert.deepEqual(await bench.sent(), ['backup'])

      // It died right after it had sent it, and the next one is due already.
      await bench.schedule(EVENING, NIGHTLY)
      await bench.commands().drop()
      await ensureControlCollections(leader)
      const backup = { type: 'logical', base: false, name: 'by the dead one', compression: 'none' } as const
      await sendCommand(leader, { cmd: 'backup', backup }, opid)
      await takeTick(leader, 'nightly', { tick: TWO, run: taken }, TWO)
      await bench.look(TWO + 24 * HOUR)
      assert.deepEqual(await bench.sent(), ['backup'])
      assert.deepEqual((await bench.state('nightly'))?.run?.name, 'by the dead one')
    })

    it('goes on where a wrong clock has noted a time that lies far ahead', async () => {
      await bench.schedule(EVENING, NIGHTLY)
      await takeTick(leader, 'nightly', { tick: TWO + 100 * 24 * HOUR }, TWO + 100 * 24 * HOUR)
      const documents = await readRunDocuments(leader)
      await Promise.all(['a:1', 'b:1'].map((node) => bench.scheduler(node).look(documents, TWO)))
      await bench.look(TWO + 2_000)
      assert.deepEqual([await bench.sent(), (await bench.state('nightly'))?.tick], [['backup'], TWO])
    })

    it('keeps what an agent has taken on from a run that somebody asks for', async () => {
      await bench.schedule(EVENING, NIGHTLY)
      const run = { tick: TWO - 5, opid: '0123456789abcdef01234567', status: 'sent' as const, by: 'somebody' }
      await takeTick(leader, 'nightly', { tick: TWO, run: { ...run, tick: TWO, by: 'rs/a:1' } }, TWO)
      assert.equal(await noteRun(leader, 'nightly', run), false)
      assert.equal((await bench.state('nightly'))?.run?.by, 'rs/a:1')
      await bench.schedule(EVENING, NIGHTLY)
      await takeTick(leader, 'nightly', { tick: TWO }, TWO)
      assert.equal(await noteRun(leader, 'nightly', run), true)
      const state = await bench.state('nightly')
      assert.deepEqual([state?.tick, state?.run?.by], [TWO, 'somebody'])
    })

    it('is made up once for all that were missed', async () => {
      await bench.schedule(EVENING, NIGHTLY, { ...NIGHTLY, name: 'strict', catchUp: false })
      await bench.look(TWO + 75 * HOUR)
      assert.deepEqual(await bench.sent(), ['backup'])
      assert.ok(bench.lines.some((line) => line.startsWith('makes up for 2031-02-06T02:00:00Z')))
      const strict = await bench.state('strict')
      assert.deepEqual([strict?.last?.status, strict?.run], ['missed', undefined])
    })

    it('waits while another operation runs, and says for what', async () => {
      await bench.schedule(EVENING, NIGHTLY, { ...NIGHTLY, name: 'skipping', overlap: 'skip' })
      const end = await bench.operation()
      await bench.look(TWO)
      assert.deepEqual(await bench.sent(), [])
      assert.match((await bench.state('nightly'))?.run?.why ?? '', /another operation is running: resync on rs/)
      const skipped = (await bench.state('skipping'))?.last
      assert.deepEqual([skipped?.status, /resync/.test(skipped?.why ?? '')], ['skipped', true])
      await end()
      await bench.look(TWO + 2_000)
      assert.deepEqual(await bench.sent(), ['backup'])
    })

    it('waits for another one that is due at the same time, in their order', async () => {
      const weekly: ScheduleConfig = { name: 'old', cron: '0 2 * * *', do: 'delete-pitr', olderThan: '7d' }
      await bench.schedule(EVENING, NIGHTLY, weekly)
      await bench.look(TWO)
      await bench.look(TWO + 2_000)
      assert.deepEqual(await bench.sent(), ['backup'])
      const opid = (await bench.state('nightly'))?.run?.opid ?? ''
      await bench.backup('2031-02-03T02:00:00Z', 'error', { opid, error: 'no room' })
      await bench.look(TWO + 4_000)
      await bench.look(TWO + 6_000)
      assert.deepEqual(await bench.sent(), ['backup', 'deletePitr'])
      assert.deepEqual((await bench.state('nightly'))?.last?.why, 'no room')
    })

    it('is sent again where another operation was faster, and ends where nobody takes it up', async () => {
      await bench.schedule(EVENING, NIGHTLY)
      await bench.look(TWO)
      await noteRefused(leader, new ObjectId((await bench.state('nightly'))?.run?.opid))
      await bench.look(TWO + 2_000)
      await bench.look(TWO + 4_000)
      assert.deepEqual(await bench.sent(), ['backup', 'backup'])
      await bench.look(TWO + 65_000)
      const last = (await bench.state('nightly'))?.last
      assert.deepEqual([last?.status, /no agent/.test(last?.why ?? '')], ['failed', true])
    })

    it('that can not be carried out has failed, with the reason', async () => {
      await bench.schedule(EVENING, { name: 'gfs', cron: '0 2 * * *', do: 'lifecycle' })
      await bench.look(TWO)
      assert.match((await bench.state('gfs'))?.last?.why ?? '', /lifecycle.enabled is not true/)
      assert.deepEqual(await bench.sent(), [])
    })

    it('stays when PBM replaces the configuration, and only what is right counts', async () => {
      await bench.schedule(EVENING, NIGHTLY)
      // As its `config --file` does (PBM: control-plane.md §7).
      await configCollection(leader).replaceOne(MAIN, { storage: { type: 'filesystem' }, epoch: new Timestamp(0n) })
      assert.deepEqual((await readWholeConfig(leader))?.schedules, [NIGHTLY])
      assert.equal(JSON.stringify(await readConfig(leader)).includes('nightly'), false)
      const forged = [NIGHTLY, { ...NIGHTLY, name: 'a.b' }, { ...NIGHTLY, name: 'x', do: 'sh' }, 5, null]
      await configCollection(leader).updateOne({ _id: 'pbmkit.schedules' } as object, { $set: { schedules: forged } })
      const { schedules, faults } = await readRunDocuments(leader)
      assert.deepEqual(schedules, [NIGHTLY])
      assert.equal(faults.length, 2)
    })
  })

  describe('a notification', () => {
    const OPS: NotificationConfig = {
      name: 'ops',
      on: ['failed', 'succeeded', 'late', 'gap', 'damaged', 'agentLost'],
      expect: '26h',
      webhook: { url: 'https://example.net/' },
    }
    let clock: ManualClock
    let sent: QueuedNotice[]
    let trouble: Error | undefined

    beforeEach(async () => {
      clock = new ManualClock(Date.now())
      sent = []
      trouble = undefined
      await writeNotifications(leader, [OPS], clock.now())
    })

    const notifier = () =>
      new Notifier({
        ...{ leader, clock, log: bench.log },
        send: async (queued) => {
          if (trouble !== undefined) throw trouble
          sent.push(queued)
        },
      })
    /** Until nothing is to be sent just now. */
    const round = async (one: Notifier) => {
      one.wake()
      while (await one.look(await readRunDocuments(leader)));
      await one.underWay
    }
    const told = () => sent.map(({ notice }) => notice.subject)

    it('tells how operations ended, each once, also when another agent leads', async () => {
      await bench.backup('of before', 'error', { endedAt: 1 })
      const first = notifier()
      await round(first)
      await bench.backup('good', 'done')
      await bench.backup('bad', 'error', { error: 'no room' })
      await Promise.all([round(first), round(notifier())])
      await round(notifier())
      assert.deepEqual(told().sort(), ['backup bad: failed', 'backup good: done'])
      assert.equal(sent.find(({ notice }) => notice.event === 'failed')?.notice.error, 'no room')
      const at = Math.floor(Date.now() / 1000)
      await collection(BACKUPS).updateOne(
        { name: 'good' },
        { $set: { verification: { result: 'damaged', at, opid: 'v' } } },
      )
      await round(first)
      await round(first)
      assert.deepEqual(told().slice(2), ['backup good is damaged'])
      const drills = [
        { rs: 'a', at, result: 'good', opid: 'd' },
        { rs: 'b', at: at - 1, result: 'failed', opid: 'd' },
      ]
      await collection(BACKUPS).updateOne({ name: 'good' }, { $set: { drills } })
      await round(first)
      await round(first)
      assert.deepEqual([told().slice(3), sent.at(-1)?.notice.event], [['drill of good: failed'], 'failed'])
    })

    it('is tried again until it arrives, by whoever leads then', async () => {
      const first = notifier()
      await round(first)
      await bench.backup('good', 'done')
      trouble = new Error('refused')
      await round(first)
      clock.jump(9_000)
      await round(first)
      assert.deepEqual(bench.lines, ['notification ops, webhook: refused'])
      trouble = undefined
      clock.jump(1_000)
      await round(notifier())
      assert.deepEqual(told(), ['backup good: done'])
      assert.equal((await readRunDocuments(leader)).notices.queue.length, 0)
      assert.equal(bench.lines.at(-1), 'notification ops, webhook: arrived')
    })

    it('tells when no good backup comes, again after a day, and when one is there', async () => {
      const one = notifier()
      await bench.backup('good', 'done')
      clock.jump(25 * HOUR)
      await round(one)
      assert.deepEqual(told(), ['backup good: done'])
      clock.jump(2 * HOUR)
      await round(one)
      await round(notifier())
      clock.jump(24 * HOUR)
      await round(one)
      await bench.backup('next', 'done', { endedAt: Math.floor(clock.now() / 1000) })
      await round(one)
      const late = sent.filter(({ notice }) => notice.event === 'late')
      assert.deepEqual(
        late.map(({ notice }) => notice.state),
        ['firing', 'firing', 'resolved'],
      )
      assert.match(late[0]?.notice.text ?? '', /no good backup within 26h/)
    })

    it('takes for a good backup whatever has everything and was not found damaged', async () => {
      await writeNotifications(leader, [], 0)
      await writeNotifications(leader, [OPS], clock.now() - 48 * HOUR)
      await bench.backup('whole', 'done')
      await collection(BACKUPS).updateOne({ name: 'whole' }, { $set: { nss: ['*.*'] } })
      for (let n = 0; n < 60; n++) await bench.backup(`part ${n}`, 'done')
      await collection(BACKUPS).updateMany({ name: /^part/ }, { $set: { nss: ['shop.orders'] } })
      const isLate = async () => {
        const { conditions = [] } = await lateBackups(leader, { documents: await readRunDocuments(leader), now })
        return conditions.length > 0
      }
      const now = clock.now() + 25 * HOUR
      assert.equal(await isLate(), false)
      await collection(BACKUPS).updateOne({ name: 'whole' }, { $set: { verification: { at: 1, result: 'damaged' } } })
      assert.equal(await isLate(), true)
    })

    it('goes on where one of what it looks at can not be read, which is told once', async () => {
      const one = notifier()
      clock.jump(27 * HOUR)
      await round(one)
      assert.deepEqual(
        sent.map(({ notice }) => [notice.event, notice.state]),
        [['late', 'firing']],
      )
      const documents = await readRunDocuments(leader)
      const bad = new Proxy(documents, {
        get: (target, key) => {
          // As only the look at operations that ended reads them.
          if (key === 'schedules') throw new Error('broken')
          return Reflect.get(target, key)
        },
      })
      clock.jump(25 * HOUR)
      one.wake()
      await one.look(bad)
      one.wake()
      await one.look(bad)
      await round(one)
      assert.equal(bench.lines.filter((line) => line.includes('broken')).length, 1)
      assert.deepEqual(sent.map(({ notice }) => notice.state).slice(1), ['firing'])
    })

    it('tells of a gap in the stored oplog', async () => {
      const chunk = (start: number, end: number) =>
        insertChunk(leader, {
          ...{ rs: 'rs.x', fname: `${start}`, compression: 'none', size: 1 },
          ...{ start_ts: new Timestamp({ t: start, i: 1 }), end_ts: new Timestamp({ t: end, i: 1 }) },
        })
      const one = notifier()
      await chunk(1_000, 2_000)
      await round(one)
      await chunk(2_000, 3_000)
      await round(one)
      assert.deepEqual(told(), [])
      await chunk(3_100, 4_000)
      await chunk(4_000, 5_000)
      await round(one)
      await round(notifier())
      assert.deepEqual(told(), ['point-in-time recovery: a gap in rs.x'])
    })

    it('tells when nothing of the oplog is stored any more', async () => {
      const { t } = await clusterTime(leader)
      const chunk = (start: number, end: number) =>
        insertChunk(leader, {
          ...{ rs: set.name, fname: `${start}`, compression: 'none', size: 1 },
          ...{ start_ts: new Timestamp({ t: start, i: 1 }), end_ts: new Timestamp({ t: end, i: 1 }) },
        })
      await configCollection(leader).updateOne(MAIN, { $set: { pitr: { enabled: true, oplogSpanMin: 1 } } })
      const one = notifier()
      await chunk(t - 900, t - 800)
      await round(one)
      await round(one)
      await round(notifier())
      await chunk(t - 800, t)
      await round(one)
      assert.deepEqual(
        sent.map(({ notice }) => [notice.event, notice.state]),
        [
          ['gap', 'firing'],
          ['gap', 'resolved'],
        ],
      )
    })

    it('tells of an agent that is gone, however its report went', async () => {
      const member = set.members[0]?.host ?? ''
      const agent = { n: member, rs: set.name, hb: new Timestamp({ t: 2_000_000_000, i: 1 }) }
      await collection(AGENTS).insertOne({ ...agent })
      await collection(AGENTS).insertOne({ ...agent, n: 'left:1' })
      const one = notifier()
      await round(one)
      await collection(AGENTS).deleteMany({})
      await round(one)
      clock.jump(119_000)
      await round(notifier())
      assert.deepEqual(told(), [])
      clock.jump(1_000)
      await round(notifier())
      await collection(AGENTS).insertOne({ ...agent })
      await round(one)
      const lost = sent.filter(({ notice }) => notice.event === 'agentLost').map(({ notice }) => notice.text)
      assert.equal(lost.length, 2)
      assert.ok(lost.every((text) => text.includes(`${set.name}/${member}`)))
    })
  })
})
