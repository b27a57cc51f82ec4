import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { Int32, Long, type MongoClient, Timestamp } from 'mongodb'
import { pino } from 'pino'
import { connectLeader } from '../mongo/connect.js'
import { LOG } from '../mongo/control-names.js'
import { lastError, queryLog } from './log.js'
import { followLog } from './log-follow.js'
import { type Log, openLog } from './log-writer.js'
import { ensureControlCollections } from './setup.js'

describe('central log', () => {
  let set: ReplicaSet
  let leader: MongoClient
  let log: Log
  let local: { level: number; msg: string }[]
  const self = { rs: 'rs0', node: 'a:1' }
  const epoch = new Timestamp({ t: 1_700_000_000, i: 1 })
  const open = () =>
    openLog({
      leader,
      self,
      local: pino({ level: 'debug' }, { write: (line: string) => void local.push(JSON.parse(line)) }),
    })

  before(async () => {
    set = await startReplicaSet({ members: 3 })
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })
  beforeEach(async () => {
    await leader
      .db('admin')
      .collection(LOG)
      .drop()
      .catch(() => undefined)
    await ensureControlCollections(leader)
    local = []
    log = open()
  })
  afterEach(() => log.close())

  it('stores entries field for field as PBM', async () => {
    const operation = log.operation({ event: 'backup', object: 'B', opid: 'o', epoch })
    operation.warning('connecting to mongodb://user:secret@host:1/ failed')
    log.operation().debug('plain')
    await log.flush()
    const [full, plain] = await leader.db('admin').collection(LOG).find({}, { promoteValues: false }).toArray()
    assert(full !== undefined && plain !== undefined)
    const fields = ['_id', 'ts', 'ns', 'tz', 's', 'rs', 'node', 'e', 'eobj', 'ep', 'opid', 'msg']
    assert.deepEqual(Object.keys(full), fields)
    assert.deepEqual(
      Object.keys(plain),
      fields.filter((field) => field !== 'ep' && field !== 'opid'),
    )
    assert(full.ts instanceof Long && full.ep instanceof Timestamp)
    for (const field of ['ns', 'tz', 's']) assert(full[field] instanceof Int32, field)
    const [stored] = await queryLog(leader)
    assert.equal(stored?.msg, 'connecting to mongodb://***@host:1/ failed')
    assert.doesNotMatch(JSON.stringify(local), /secret/)
    assert.deepEqual(
      local.map(({ level }) => level),
      [40, 20],
    )
  })

  it('has no control characters', async () => {
    log.operation({ event: 'backup', object: 'B\u001b[2J\n' }).warning('skipped a\u009b\u202eb')
    await log.flush()
    const [stored] = await queryLog(leader)
    assert.deepEqual([stored?.eobj, stored?.msg], ['B\\x1b[2J\\n', 'skipped a\\x9b\\u202eb'])
    assert.equal(local[0]?.msg, 'skipped a\\x9b\\u202eb')
  })

  it('keeps the order of lines of one moment and answers the filters of pbm logs', async () => {
    const backup = log.operation({ event: 'backup', object: 'B', opid: 'o', epoch })
    for (let i = 0; i < 50; i++) backup.info(String(i))
    log.operation({ event: 'restore', object: 'R' }).error('bad')
    backup.error('worse')
    backup.debug('detail')
    await log.flush()
    const messages = async (query: Parameters<typeof queryLog>[1]) =>
      (await queryLog(leader, query)).map(({ msg }) => msg)
    const numbers = Array.from({ length: 50 }, (_, i) => String(i))
    assert.deepEqual(await messages({}), [...numbers, 'bad', 'worse'])
    assert.deepEqual(await messages({ tail: 2 }), ['bad', 'worse'])
    assert.deepEqual(await messages({ severity: 4, tail: 1 }), ['detail'])
    assert.deepEqual(await messages({ severity: 1 }), ['bad', 'worse'])
    assert.deepEqual(await messages({ event: 'restore' }), ['bad'])
    assert.deepEqual(await messages({ event: 'backup', object: 'none' }), [])
    assert.deepEqual(await messages({ rs: 'rs0', node: 'b:1' }), [])
    assert.deepEqual(await messages({ opid: 'o', epoch, severity: 1 }), ['worse'])
    assert.equal(await lastError(leader, 'o'), 'worse')
    assert.equal(await lastError(leader, 'p'), undefined)
  })

  it('never waits, and stores all once the leader is back', async () => {
    const primary = await set.primary()
    log.operation().info('before')
    await log.flush()
    await primary.kill('SIGKILL')
    const lines = Array.from({ length: 300 }, (_, i) => `line ${i}`)
    for (const line of lines) log.operation().info(line)
    await log.flush(30_000)
    await primary.restart()
    assert.deepEqual(
      (await queryLog(leader)).map(({ msg }) => msg),
      ['before', ...lines],
    )
  })

  it('loses the oldest beyond its buffer, and says so', async () => {
    await Promise.all(set.members.map((member) => member.pause()))
    for (let i = 0; i < 6_000; i++) log.operation().info(String(i))
    await log.flush(50)
    await Promise.all(set.members.map((member) => member.resume()))
    await set.ready()
    await log.flush(30_000)
    const messages = (await queryLog(leader, { severity: 2 })).map(({ msg }) => msg)
    assert.match(String(messages.at(-1)), /^\d+ log entries were lost/)
    assert.equal((await queryLog(leader, { severity: 3 })).filter(({ msg }) => msg === '5999').length, 1)
  })

  it('is followed through an election and a drop, each entry once', async () => {
    for (let i = 0; i < 30; i++) log.operation().info(`old ${i}`)
    await log.flush()
    const stop = new AbortController()
    const seen: string[] = []
    const following = (async () => {
      for await (const { msg } of followLog(leader, { tail: 2 }, { signal: stop.signal })) seen.push(msg)
    })()
    const until = async (message: string) => {
      while (!seen.includes(message)) await sleep(10)
    }
    await until('old 29')
    log.operation().info('one')
    await until('one')
    await set.stepDown(20)
    log.operation().info('two')
    await until('two')
    await leader.db('admin').collection(LOG).drop()
    await ensureControlCollections(leader)
    log.operation().info('three')
    await until('three')
    stop.abort()
    await following
    assert.deepEqual(seen, ['old 28', 'old 29', 'one', 'two', 'three'])
  })
})
