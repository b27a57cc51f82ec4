import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { Binary, Int32, Long, type MongoClient, ObjectId, Timestamp } from 'mongodb'
import type { CommandDocument } from '../control/command-document.js'
import { sendCommand } from '../control/commands.js'
import { recordOperation } from '../control/operations.js'
import { ensureControlCollections } from '../control/setup.js'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { connectLeader } from '../mongo/connect.js'
import { COMMANDS } from '../mongo/control-names.js'
import { type Clock, systemClock } from '../time/clock.js'
import { inTime } from '../time/deadline.js'
import { type CommandFeedOptions, watchCommands } from './command-feed.js'
import { recordRefusal } from './refusal.js'

describe('command feed', () => {
  let set: ReplicaSet
  let leader: MongoClient
  const commands = () => leader.db('admin').collection(COMMANDS)
  const stops: (() => Promise<void>)[] = []

  /** Starts a feed and collects what it yields. */
  async function start(options: Omit<CommandFeedOptions, 'signal'> = {}) {
    const stop = new AbortController()
    const received: CommandDocument[] = []
    const troubles: string[] = []
    const feed = watchCommands(leader, {
      signal: stop.signal,
      onTrouble: (message) => troubles.push(message),
      ...options,
    })
    const reading = (async () => {
      for await (const command of feed) received.push(command)
    })()
    stops.push(async () => {
      stop.abort()
      await reading
    })
    const ids = () => received.map(({ _id }) => _id.toHexString())
    const until = async (count: number) => {
      while (received.length < count) await sleep(10)
    }
    return { received, troubles, ids, until }
  }

  const resync = async () => (await sendCommand(leader, { cmd: 'resync' })).toHexString()

  before(async () => {
    set = await startReplicaSet({ members: 3, mongodArgs: ['--setParameter', 'enableTestCommands=1'] })
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })
  beforeEach(async () => {
    await commands()
      .drop()
      .catch(() => undefined)
    await ensureControlCollections(leader)
  })
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()))
  })

  it('yields each command once and in order, and more as they come', async () => {
    const feed = await start()
    const sent: string[] = []
    for (let i = 0; i < 20; i++) sent.push(await resync())
    await feed.until(20)
    sent.push(await resync())
    await feed.until(21)
    assert.deepEqual(feed.ids(), sent)
  })

  it('passes over old commands and those that have begun here or were refused', async () => {
    const now = secondsOf(await clusterTime(leader))
    const stamped = async (seconds: number) => {
      const _id = new ObjectId()
      await commands().insertOne({ _id, cmd: 'resync', ts: Long.fromNumber(seconds) })
      return _id.toHexString()
    }
    await stamped(now - 60)
    const begun = await stamped(now - 2)
    const epoch = new Timestamp({ t: now, i: 1 })
    await recordOperation(leader, { type: 'resync', replset: set.name, node: 'n:1', opid: begun, epoch })
    await recordRefusal(leader, { cmd: 'resync', _id: new ObjectId(await stamped(now - 2)), ts: now - 2 }, 'refused')
    const missed = await stamped(now - 2)
    const feed = await start({ replset: set.name })
    await feed.until(1)
    // A sender whose clock is an hour behind is heard all the same once the feed is open.
    const late = await stamped(now - 3600)
    await feed.until(2)
    assert.deepEqual(feed.ids(), [missed, late])
  })

  it('starts on a missing or empty collection and survives its being dropped', async () => {
    await commands().drop()
    const feed = await start()
    const sent = [await resync()]
    await feed.until(1)
    await commands().drop()
    sent.push(await resync())
    await feed.until(2)
    await commands().drop()
    await ensureControlCollections(leader)
    sent.push(await resync())
    await feed.until(3)
    assert.deepEqual(feed.ids(), sent)
  })

  it('works on a collection that somebody made without a cap', async () => {
    await commands().drop()
    await leader.db('admin').createCollection(COMMANDS)
    const feed = await start()
    const sent = [await resync(), await resync()]
    await feed.until(2)
    assert.deepEqual(feed.ids(), sent)
  })

  it('looks past documents that are no commands', async () => {
    const feed = await start()
    const opened = await resync()
    await feed.until(1)
    await commands().insertOne({ cmd: 'dance', ts: 1 })
    await commands().insertOne({ cmd: 'backup', ts: 1 })
    await commands().insertOne({ _id: 7 as unknown as ObjectId, cmd: 'resync', ts: 1 })
    const sent = await resync()
    await feed.until(2)
    assert.deepEqual(feed.ids(), [opened, sent])
    assert.equal(feed.troubles.filter((message) => /no command/.test(message)).length, 3)
  })

  it('yields what was stored a moment before the server counts it in its time', async () => {
    const feed = await start()
    const opened = await resync()
    await feed.until(1)
    const collection = commands()
    for (let ts = 0; ts < 2_000; ts++) await collection.insertOne({ cmd: 'dance', ts })
    const sent = await resync()
    await feed.until(2)
    assert.deepEqual(feed.ids(), [opened, sent])
    assert.equal(feed.troubles.length, 2_000)
  })

  it('yields the first command also where it was being stored when the feed looked', async () => {
    const admin = await set.client()
    const hang = (mode: string) =>
      admin.db('admin').command({
        configureFailPoint: 'hangAfterCollectionInserts',
        mode,
        data: { collectionNS: `admin.${COMMANDS}` },
      })
    const looks = async () => {
      const found = await admin
        .db('admin')
        .aggregate([{ $currentOp: { idleCursors: true } }])
        .toArray()
      return found.some(({ ns, cursor }) => ns === `admin.${COMMANDS}` && cursor?.tailable === true)
    }
    await hang('alwaysOn')
    const sending = resync()
    try {
      // The server counts it already, and shows it to nobody.
      while ((await commands().estimatedDocumentCount()) === 0) await sleep(10)
      let passed = false
      const pause: Clock['sleep'] = (milliseconds, signal) => {
        passed = true
        return systemClock.sleep(milliseconds, signal)
      }
      const feed = await start({ clock: { now: systemClock.now, sleep: pause } })
      // Either it has found nothing to open and waits to look again, or it is open and waits for the server.
      while (!passed && !(await looks())) await sleep(10)
      await hang('off')
      await sending
      await inTime(feed.until(1), 30_000, () => new Error('the feed is blind'))
      assert.deepEqual(feed.ids(), [await sending])
    } finally {
      await hang('off')
    }
  })

  it('reads what PBM sends', async () => {
    const feed = await start()
    const backup = {
      type: 'logical',
      base: false,
      name: '2031-02-03T04:05:06Z',
      compression: 's2',
      level: new Int32(3),
    }
    const ts = Long.fromNumber(secondsOf(await clusterTime(leader)))
    await commands().insertOne({ cmd: 'backup', backup, ts })
    await feed.until(1)
    const [command] = feed.received
    assert(command?.cmd === 'backup')
    assert.equal(command.ts, ts.toNumber())
    assert.deepEqual(command.backup, { ...backup, level: 3 })
  })

  it('tells of a cancel while the consumer is busy and drops the backups that wait', async () => {
    const stop = new AbortController()
    const canceled: string[] = []
    const feed = watchCommands(leader, {
      signal: stop.signal,
      onCancel: ({ _id }) => canceled.push(_id.toHexString()),
    })
    const taken: string[] = []
    const cancel: Promise<void> = (async () => {
      for await (const command of feed) {
        taken.push(command._id.toHexString())
        if (taken.length === 1) while (canceled.length === 0) await sleep(10)
        if (taken.length === 2) break
      }
    })()
    const backup = { type: 'logical', base: false, compression: 'none' } as const
    const first = await resync()
    await sendCommand(leader, { cmd: 'backup', backup: { ...backup, name: '2031-02-03T04:05:06Z' } })
    const canceling = (await sendCommand(leader, { cmd: 'cancelBackup' })).toHexString()
    const last = await resync()
    await cancel
    stop.abort()
    assert.deepEqual(canceled, [canceling])
    assert.deepEqual(taken, [first, last])
  })

  it('loses nothing and repeats nothing through elections and a restart', async () => {
    const feed = await start()
    const sent: string[] = []
    let sending = true
    const sender = (async () => {
      while (sending) {
        sent.push(await resync())
        await sleep(20)
      }
    })()
    await set.stepDown(20)
    await feed.until(sent.length + 3)
    const primary = await set.primary()
    await primary.kill('SIGKILL')
    await feed.until(sent.length + 3)
    await primary.restart()
    sending = false
    await sender
    await feed.until(sent.length)
    assert.deepEqual(feed.ids(), sent)
  })

  it('yields what was sent just before its start by a program whose clock is behind', async () => {
    const ahead = new Timestamp({ t: secondsOf(await clusterTime(leader)) + 60, i: 1 })
    await leader.withSession(async (session) => {
      session.advanceClusterTime({
        clusterTime: ahead,
        signature: { hash: new Binary(Buffer.alloc(20)), keyId: Long.ZERO },
      })
      await leader.db('admin').command({ ping: 1 }, { session })
    })
    const id = await resync()
    const feed = await start()
    await feed.until(1)
    assert.deepEqual(feed.ids(), [id])
  })
})
