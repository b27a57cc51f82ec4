import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CuttableNetwork, type ReplicaSet, startNetwork, startReplicaSet } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { inTime } from '../time/deadline.js'
import { connectLeader, connectNode } from './connect.js'

/** Of the connections that die together, chance decides which one is told first. */
const COMMANDS = 3
const LEADERS_EACH = 2

describe('a server that is killed', () => {
  let set: ReplicaSet
  const clients: MongoClient[] = []
  before(async () => {
    set = await startReplicaSet({ members: 1 })
  })
  after(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await set.stop()
  })

  it('leaves nobody waiting who turns to another connection when one is lost', async () => {
    const [member] = set.members
    assert.ok(member)
    const uri = `${set.uri()}&serverSelectionTimeoutMS=1500`
    const node = await connectNode(uri, { appName: 'test' })
    clients.push(node)
    await node.db('work').collection('numbers').insertOne({})
    const leaders: MongoClient[] = []
    for (let count = 0; count < COMMANDS * LEADERS_EACH; count++) {
      leaders.push((await connectLeader(uri, { appName: 'test' })).client)
    }
    clients.push(...leaders)
    // Not retried, as an insert of a restore is not.
    const endless = { find: 'numbers', filter: { $where: 'sleep(600000) || true' } }
    const told = Array.from({ length: COMMANDS }, async (_, index) => {
      await assert.rejects(node.db('work').command(endless))
      const mine = leaders.slice(index * LEADERS_EACH, (index + 1) * LEADERS_EACH)
      const writes = mine.map((leader) => leader.db('work').collection('numbers').updateOne({}, { $set: { index } }))
      await Promise.all(
        writes.map((write) =>
          assert.rejects(
            inTime(write, 15_000, () => new Error('still waiting')),
            /closed|REFUSED/,
          ),
        ),
      )
    })
    await sleep(500)
    await member.kill('SIGKILL')
    await Promise.all(told)
  })
})

describe('a server that stops answering', () => {
  let set: ReplicaSet
  let network: CuttableNetwork
  before(async () => {
    set = await startReplicaSet({ members: 1 })
    network = await startNetwork()
  })
  after(async () => {
    await network?.stop()
    await set?.stop()
  })

  it('leaves nobody waiting, also where somebody fails to connect before its silence is noticed', async () => {
    // Its silence would be noticed after the sum of the first two.
    const options = 'heartbeatFrequencyMS=5000&connectTimeoutMS=1000&serverSelectionTimeoutMS=1500'
    const { client } = await connectLeader(`${set.uri()}&${options}&${network.uriOptions}`, { appName: 'test' })
    try {
      const ping = () => client.db('admin').command({ ping: 1 })
      await ping()
      network.cut()
      const late = () => new Error('still waiting')
      // One connection is there, and takes the first; for the others it can't be made.
      const pings = Array.from({ length: 3 }, () =>
        assert.rejects(inTime(ping(), 15_000, late), /timed out|interrupted/),
      )
      await Promise.all(pings)
    } finally {
      network.mend()
      await client.close()
    }
  })
})
