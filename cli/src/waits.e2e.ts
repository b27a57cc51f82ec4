import assert from 'node:assert/strict'
import {
  appendLog,
  busyText,
  COMMANDS,
  clusterTime,
  insertBackup,
  insertRestore,
  listLocks,
  publishAgent,
  recordOperation,
  setBackupStatus,
  setReplsetProgress,
  setRestoreStatus,
} from '@pbmkit/core'
import { type Document, Timestamp } from 'mongodb'
import { type Cluster, startCluster, until } from './cluster.support.js'
import { agentDocument, backupRecord, restoreLock, restoreRecord } from './records.support.js'
import { type Ended, pbmProcess } from './run.support.js'

/** A backup of long ago. */
const FINISHED = '2000-01-01T00:00:00Z'

/**
 * Here the test answers the commands instead of an agent, through the same control collections, so that each way in which
 * an operation can end, or stop, is met at will.
 */
describe('pbm waits', () => {
  let cluster: Cluster
  let beating: NodeJS.Timeout

  before(async () => {
    cluster = await startCluster()
    const input = `storage:\n  type: filesystem\n  filesystem: {path: ${cluster.folder}/backups}\n`
    assert.equal((await cluster.pbm(['config', '--file', '-'], { input })).code, 0)
    await beat()
    beating = setInterval(() => void beat(), 3000)
  })
  after(async () => {
    clearInterval(beating)
    await cluster.stop()
  })

  it('for a backup, shows its progress and answers only when it is done', async () => {
    const [ended, name] = await backup(['-w'], async (name, opid) => {
      await insertBackup(cluster.leader, await backupRecord(cluster, name, opid, 'starting'))
      await setBackupStatus(cluster.leader, name, 'running')
      await setReplsetProgress(cluster.leader, name, cluster.set.name, {
        phase: 'collections',
        bytes: 1_000_000,
        totalBytes: 4_000_000,
        documents: 10,
        totalDocuments: 40,
        startedAt: 0,
        updatedAt: 1000,
      })
      await new Promise((resolve) => setTimeout(resolve, 500))
      await setBackupStatus(cluster.leader, name, 'dumpDone')
      await setBackupStatus(cluster.leader, name, 'done')
    })
    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual(withoutId(JSON.parse(ended.stdout)), {
      name,
      storagePath: `${cluster.folder}/backups`,
      status: 'done',
      size: 0,
    })
    const lines = ended.stderr.trim().split('\n')
    const told = lines.map((line) => (JSON.parse(line) as { progress: Document }).progress)
    assert.deepEqual(
      told.find(({ bytes }) => bytes === 1_000_000),
      {
        operation: 'backup',
        name,
        status: 'running',
        phase: 'collections',
        bytes: 1_000_000,
        totalBytes: 4_000_000,
        documents: 10,
        totalDocuments: 40,
        bytesPerSecond: 1_000_000,
        secondsLeft: 3,
      },
    )
  })

  it('not at all without --wait, once the backup runs', async () => {
    const [ended] = await backup([], async (name, opid) => {
      await insertBackup(cluster.leader, await backupRecord(cluster, name, opid, 'running'))
      await done(name)
    })
    assert.equal(ended.code, 0)
    assert.equal((JSON.parse(ended.stdout) as { status: string }).status, 'running')
  })

  it('until a backup fails, is canceled, is refused, vanishes or is stuck: 1 and the reason', async () => {
    const ways: [string, RegExp, (name: string, opid: string) => Promise<void>][] = [
      [
        'BACKUP_FAILED',
        /failed: the disk is full; rs0: no space left/,
        async (name, opid) => {
          const document = await backupRecord(cluster, name, opid, 'running')
          const [replset] = document.replsets
          if (replset !== undefined) replset.error = 'no space left'
          await insertBackup(cluster.leader, document)
          await setBackupStatus(cluster.leader, name, 'error', { error: 'the disk is full' })
        },
      ],
      [
        'BACKUP_CANCELED',
        /was canceled/,
        async (name, opid) => {
          await insertBackup(cluster.leader, await backupRecord(cluster, name, opid, 'running'))
          await setBackupStatus(cluster.leader, name, 'canceled', { error: 'canceled' })
        },
      ],
      [
        'REFUSED',
        /was refused: balancer trouble/,
        async (name, opid) => log({ e: 'backup', eobj: name, opid, msg: 'balancer trouble' }),
      ],
      [
        'OPERATION_GONE',
        /disappeared/,
        async (name, opid) => {
          await insertBackup(cluster.leader, await backupRecord(cluster, name, opid, 'running'))
          await new Promise((resolve) => setTimeout(resolve, 600))
          await cluster.leader.db('admin').collection('pbmBackups').deleteOne({ name })
        },
      ],
      [
        'STUCK',
        /stuck at 'running': the last heartbeat of its agent was 2001-09-09/,
        async (name, opid) => {
          const hb = new Timestamp({ t: 1_000_000_000, i: 1 })
          await insertBackup(cluster.leader, { ...(await backupRecord(cluster, name, opid, 'running')), hb })
        },
      ],
    ]
    for (const [code, message, answer] of ways) {
      const [ended] = await backup(['-w'], answer)
      assert.equal(ended.code, 1, code)
      const report = JSON.parse(ended.stdout) as { Error: string; code: string; hint: string }
      assert.equal(report.code, code)
      assert.match(report.Error, message)
    }
    const status = await cluster.pbm(['status', '-s', 'backups'])
    assert.match(status.stdout, /error: the disk is full/)
    assert.match(status.stdout, /error: stuck at 'running'/)
    assert.match(status.stdout, /canceled/)
    const { value } = await cluster.json(['list'])
    assert.equal((value as { snapshots: unknown[] }).snapshots.length, 2, 'only the two that are done')
  })

  it('not where another operation was faster, whoever says so and wherever: 4', async () => {
    const error = busyText({ type: 'delete', replset: 'rs0', node: 'h:1', epoch: new Timestamp({ t: 1, i: 1 }) })
    const ways: [string[], (name: string, opid: string) => Promise<unknown>][] = [
      [
        ['backup'],
        async (name, opid) =>
          insertBackup(cluster.leader, {
            ...(await backupRecord(cluster, name, opid, 'starting')),
            status: 'error',
            error,
          }),
      ],
      // As PBM's agents say it.
      [
        ['backup'],
        async (name, opid) =>
          log({ e: 'backup', eobj: name, opid, msg: "get lock: another operation is running: restore 'abc'" }),
      ],
      [
        ['restore', FINISHED, '-y'],
        async (name, opid) => {
          await insertRestore(cluster.leader, await restoreRecord(cluster, name, opid, FINISHED))
          await setRestoreStatus(cluster.leader, name, 'error', { error })
        },
      ],
      [['config', '--force-resync', '--wait'], async (_, opid) => log({ e: 'resync', eobj: '', opid, msg: error })],
      [['delete-backup', FINISHED, '-y'], async (_, opid) => log({ e: 'delete', eobj: '', opid, msg: error })],
    ]
    await insertBackup(cluster.leader, await backupRecord(cluster, FINISHED, 'ab'.repeat(12), 'running'))
    await done(FINISHED)
    for (const [args, reply] of ways) {
      const command = args[0] === 'config' ? 'resync' : String(args[0]).replace('delete-backup', 'delete')
      const answered = answer(command, async (name, opid) => void (await reply(name, opid)))
      const ended = await cluster.pbm([...args, '-o', 'json'])
      await answered
      assert.equal(ended.code, 4, args.join(' ') + ended.stdout + ended.stderr)
      const { code, Error: message } = JSON.parse(ended.stdout) as { code: string; Error: string }
      assert.equal(code, 'OPERATION_RUNNING')
      assert.match(message, /does not begin: .*another operation is running: (delete on rs0|restore)/)
    }
  })

  it('not for the backup of another command of the same second: 4', async () => {
    const other = 'cd'.repeat(12)
    const [ended, name] = await backup(['-w'], async (taken) => {
      await insertBackup(cluster.leader, await backupRecord(cluster, taken, other, 'running'))
    })
    assert.equal(ended.code, 4)
    assert.deepEqual(pickError(ended.stdout), ['OPERATION_RUNNING', true])
    await done(name)

    function pickError(stdout: string): [string, boolean] {
      const { code, Error: message } = JSON.parse(stdout) as { code: string; Error: string }
      return [code, message.includes(other)]
    }
  })

  it('for an operation that has only its lock, but not for an agent that died at it', async () => {
    const locks = cluster.leader.db('admin').collection('pbmLock')
    // Seconds since the last heartbeat, whether somebody takes the lock away, what the agent logs, and the exit code.
    const ways: [number, boolean, string, number][] = [
      [1, true, '', 0],
      [28, true, '', 1],
      [28, true, 'succeed', 0],
      [40, false, '', 1],
    ]
    for (const [silent, isRemoved, msg, code] of ways) {
      const answered = answer('resync', async (_, opid) => {
        const now = await clusterTime(cluster.leader)
        const header = { type: 'resync', replset: cluster.set.name, node: cluster.host, opid, epoch: now } as const
        await locks.insertOne({ ...header, hb: new Timestamp({ t: now.t - silent, i: 1 }) })
        await recordOperation(cluster.leader, header)
        await new Promise((resolve) => setTimeout(resolve, 1000))
        if (isRemoved) await locks.deleteMany({})
        if (msg !== '') await log({ s: 3, e: 'resync', eobj: '', opid, msg })
      })
      const ended = await cluster.pbm(['config', '--force-resync', '--wait', '-o', 'json'])
      await answered
      await locks.deleteMany({})
      assert.equal(ended.code, code, ended.stdout + ended.stderr)
      if (code !== 0)
        assert.match(ended.stdout, /resync was not finished: the agent on rs0[^}]*gone[^}]*"code":"STUCK"/)
    }
  })

  it('for the end of a resync, which nobody has asked for, before it sends a command', async () => {
    const locks = cluster.leader.db('admin').collection('pbmLock')
    const now = await clusterTime(cluster.leader)
    const header = { type: 'resync', replset: cluster.set.name, node: cluster.host, opid: '12'.repeat(12), epoch: now }
    await locks.insertOne({ ...header, hb: now })
    const answered = answer('backup', async (name, opid) => {
      await insertBackup(cluster.leader, await backupRecord(cluster, name, opid, 'running'))
      await done(name)
    })
    const ended = await pbmProcess(['backup', '-o', 'json'], {
      env: { PBM_MONGODB_URI: cluster.uri },
      during: async (_, told) => {
        await until('the note', async () => /"note":"Waiting until the list of backups has been read/.test(told()))
        assert.equal(await locks.countDocuments(), 1)
        await locks.deleteMany({})
      },
    })
    await answered
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
  })

  it('only some seconds for a resync before the configuration changes: 4', async () => {
    const locks = cluster.leader.db('admin').collection('pbmLock')
    const now = await clusterTime(cluster.leader)
    const header = { type: 'resync', replset: cluster.set.name, node: cluster.host, opid: '34'.repeat(12), epoch: now }
    // Were it waited for any longer, it would count as dead and no longer be in the way.
    await locks.insertOne({ ...header, hb: now })
    const ended = await cluster.pbm(['config', '--set', 'pitr.enabled=false', '-o', 'json'])
    await locks.deleteMany({})
    assert.equal(ended.code, 4, ended.stdout + ended.stderr)
    assert.match(ended.stdout, /another operation is running: resync on/)
  })

  it('no longer than --wait-time: 3, and the backup goes on', async () => {
    const [ended, name] = await backup(['-w', '--wait-time', '700ms'], async (name, opid) =>
      insertBackup(cluster.leader, await backupRecord(cluster, name, opid, 'running')),
    )
    assert.equal(ended.code, 3)
    assert.match(ended.stdout, /"code":"WAIT_TIME"/)
    assert.match(ended.stdout, /pbm cancel-backup/)
    await done(name)
  })

  it('until Ctrl-C: 130, and how to go on', async () => {
    const answered = answer('backup', async (name, opid) =>
      insertBackup(cluster.leader, await backupRecord(cluster, name, opid, 'running')),
    )
    const ended = await pbmProcess(['backup', '-w'], {
      env: { PBM_MONGODB_URI: cluster.uri },
      during: async (child, told) => {
        await until('the wait', async () => /: running/.test(told()))
        child.kill('SIGINT')
      },
    })
    const name = await answered
    assert.equal(ended.code, 130, ended.stderr)
    assert.match(ended.stderr, new RegExp(`stopped waiting; backup ${name} goes on`))
    assert.match(ended.stderr, /pbm status[^\n]*pbm cancel-backup/)
    await done(name)
  })

  it('for a cancellation, and tells a backup that was done before', async () => {
    const name = '2001-01-01T00:00:00Z'
    await insertBackup(cluster.leader, await backupRecord(cluster, name, 'ef'.repeat(12), 'running'))
    const canceled = answer('cancelBackup', async () => {
      await setBackupStatus(cluster.leader, name, 'canceled', { error: 'canceled' })
    })
    const { code, value } = await cluster.json(['cancel-backup'])
    await canceled
    assert.equal(code, 0)
    assert.equal((value as { status: string }).status, 'canceled')

    const late = '2001-01-01T00:00:01Z'
    await insertBackup(cluster.leader, await backupRecord(cluster, late, 'fe'.repeat(12), 'running'))
    const ignored = answer('cancelBackup', async () => done(late))
    const ended = await cluster.pbm(['cancel-backup'])
    await ignored
    assert.equal(ended.code, 1)
    assert.match(ended.stderr, /was done before the cancellation/)
  })

  it('for a restore: done, or failed with the reason; says that point-in-time recovery is off now', async () => {
    await cluster.leader
      .db('admin')
      .collection('pbmConfig')
      .updateOne({}, { $set: { 'pitr.enabled': true } })
    const name = '2001-01-01T00:00:01Z'
    const ways: ['done' | 'error', number, RegExp][] = [
      ['done', 0, /"status":"done"/],
      ['error', 1, /failed: an object is missing/],
    ]
    for (const [status, code, message] of ways) {
      const answered = answer('restore', async (restore, opid) => {
        const release = await restoreLock(cluster, opid)
        await insertRestore(cluster.leader, await restoreRecord(cluster, restore, opid, name))
        await setRestoreStatus(cluster.leader, restore, 'running')
        await setRestoreStatus(cluster.leader, restore, 'dumpDone')
        await new Promise((resolve) => setTimeout(resolve, 500))
        await setRestoreStatus(
          cluster.leader,
          restore,
          status,
          status === 'error' ? { error: 'an object is missing' } : {},
        )
        await release(500)
      })
      const ended = await cluster.pbm(['restore', name, '-y', '-w', '-o', 'json'])
      assert.deepEqual(await listLocks(cluster.leader), [], 'the next command would be refused')
      const restore = await answered
      assert.equal(ended.code, code, ended.stdout + ended.stderr)
      assert.match(ended.stdout, message)
      assert.match(ended.stderr, /is off during this restore[^\n]*fresh backup/)
      const { value } = await cluster.json(['describe-restore', restore])
      assert.equal((value as { status: string }).status, status)
    }
    assert.match((await cluster.pbm(['list', '--restore'])).stdout, /error: an object is missing/)
  })

  async function backup(
    flags: string[],
    reply: (name: string, opid: string) => Promise<void>,
  ): Promise<[ended: Ended, name: string]> {
    const answered = answer('backup', reply)
    const ended = await cluster.pbm(['backup', '-o', 'json', ...flags])
    return [ended, await answered]
  }

  /** Waits for the next command of the kind and replies to it; resolves to the name in it. */
  async function answer(kind: string, reply: (name: string, opid: string) => Promise<void>): Promise<string> {
    const commands = cluster.leader.db('admin').collection(COMMANDS)
    const seen = await commands.countDocuments({ cmd: kind })
    let command: Document | undefined
    await until(`the command ${kind}`, async () => {
      command = (await commands.find({ cmd: kind }).toArray())[seen]
      return command !== undefined
    })
    const name = String(command?.[kind]?.name ?? '')
    await reply(name, String(command?._id))
    return name
  }

  async function done(name: string): Promise<void> {
    await setBackupStatus(cluster.leader, name, 'dumpDone')
    await setBackupStatus(cluster.leader, name, 'done')
  }

  async function beat(): Promise<void> {
    await publishAgent(cluster.leader, agentDocument(cluster, await clusterTime(cluster.leader)))
  }

  async function log(entry: { s?: 1 | 3; e: string; eobj: string; opid: string; msg: string }): Promise<void> {
    const ts = Math.floor(Date.now() / 1000)
    await appendLog(cluster.leader, [{ ts, ns: 0, tz: 0, s: 1, rs: cluster.set.name, node: cluster.host, ...entry }])
  }
})

function withoutId(result: { opid?: string }): object {
  const { opid, ...rest } = result
  assert.match(String(opid), /^[0-9a-f]{24}$/)
  return rest
}
