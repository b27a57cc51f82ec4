import assert from 'node:assert/strict'
import { MongoClient, Timestamp } from 'mongodb'
import type { BackupStatus } from '../control/backup-document.js'
import { BACKUP_REPLSET_STATES, BACKUP_STATES } from '../control/state-machine.js'
import { ManualClock } from '../time/manual-clock.support.js'
import { backupCanceled } from './canceled.js'
import { LOST_MS } from './heartbeat.js'
import type { HeldLock } from './lock.js'
import type { OperationKind } from './operation-kind.js'
import { type OperationDescription, OperationRun, type OperationSteps } from './operation-run.js'

const EPOCH = new Timestamp({ t: 1, i: 1 })

describe('the life of an operation', () => {
  const nothing = () => undefined
  const log = { debug: nothing, info: nothing, warning: nothing, error: nothing }
  const self = { rs: 'rs0', node: 'a:1' }
  // Nobody listens there, and nobody is asked: the record is in memory.
  const leader = new MongoClient('mongodb://127.0.0.1:1/')
  let clock: ManualClock
  let done: string[]
  let faults: Error[]
  let stop: AbortController
  beforeEach(() => {
    clock = new ManualClock()
    done = []
    faults = []
    stop = new AbortController()
  })
  after(() => leader.close())

  const held = (): HeldLock => ({
    header: { type: 'backup', replset: 'rs0', node: 'a:1', opid: 'a', epoch: EPOCH },
    signal: new AbortController().signal,
    assertHeld: nothing,
    release: async () => undefined,
    leave: async () => undefined,
  })

  function run(
    work: (steps: OperationSteps<BackupStatus>) => Promise<void>,
    more: Partial<OperationDescription<BackupStatus>> = {},
  ): Promise<unknown> {
    let [whole, part]: BackupStatus[] = ['starting', 'starting']
    const write = async (what: string, state: BackupStatus) => {
      const fault = faults.shift()
      done.push(`${what} ${state}${fault === undefined ? '' : ': fault'}`)
      if (fault !== undefined) throw fault
      return { changed: true, status: state }
    }
    const kind: OperationKind<BackupStatus> = {
      ...{ what: 'backup', collection: 'none', machine: BACKUP_STATES, replsetMachine: BACKUP_REPLSET_STATES },
      ...{ failed: 'error', canceled: 'canceled' },
      find: async () => ({
        ...{ opid: 'a', status: whole ?? 'starting', hb: EPOCH, conditions: [] },
        replsets: [{ name: 'rs0', status: part ?? 'starting' }],
      }),
      beat: async () => true,
      setStatus: (_leader, _name, state) => {
        whole = state
        return write('whole', state)
      },
      setReplsetStatus: (_leader, _name, _replset, state) => {
        part = state
        return write('part', state)
      },
      setProgress: async () => true,
    }
    const operation = new OperationRun(
      { leader, self, log, clock },
      {
        ...{ kind, name: 'b', title: 'backup b', leads: true, replsets: ['rs0'], lock: held(), signal: stop.signal },
        announce: async () => void done.push('announced'),
        discard: async () => void done.push('discarded'),
        putBack: async () => void done.push('put back'),
        resume: async () => void done.push('resumed'),
        ...more,
      },
    )
    return operation.execute(work).then(
      () => undefined,
      (error: unknown) => error,
    )
  }
  /** Lets everything that sleeps go on. */
  async function ended(running: Promise<unknown>): Promise<unknown> {
    let isOver = false
    const outcome = running.finally(() => {
      isOver = true
    })
    while (!isOver) await clock.advance(500)
    return await outcome
  }

  it('goes from state to state, each replica set before the whole', async () => {
    const all = async ({ reach }: OperationSteps<BackupStatus>) => {
      await reach('running')
      await reach('dumpDone', { before: async () => void done.push('before') })
      await reach('done')
    }
    assert.equal(await ended(run(all)), undefined)
    assert.deepEqual(done, [
      'announced',
      ...['part running', 'whole running'],
      ...['part dumpDone', 'before', 'whole dumpDone'],
      ...['part done', 'whole done'],
    ])
  })

  it('says nothing of a state once it was told to stop', async () => {
    stop.abort(new Error('stopped'))
    assert.match(String(await ended(run(({ reach }) => reach('running')))), /stopped/)
    assert.deepEqual(done, ['announced', 'part error', 'discarded', 'whole error', 'resumed'])
  })

  it('writes its failure until it is written, and deletes what it has stored before it reads as ended', async () => {
    faults = [new Error('no primary'), new Error('no primary')]
    const failed = await ended(run(() => Promise.reject(new Error('the storage is full'))))
    assert.match(String(failed), /the storage is full/)
    assert.deepEqual(done, [
      'announced',
      ...['part error: fault', 'part error: fault', 'part error'],
      ...['discarded', 'whole error', 'resumed'],
    ])
  })

  it('leaves a failure that can not be written for others to mark, in time', async () => {
    faults = Array.from({ length: 1_000 }, () => new Error('no primary'))
    const begun = clock.now()
    assert.match(String(await ended(run(() => Promise.reject(new Error('broken'))))), /broken/)
    assert(clock.now() - begun < LOST_MS * 2)
    assert.equal(done.at(-1), 'resumed')
  })

  it('tells why it was stopped, whatever a stage says of that', async () => {
    const failed = await ended(
      run(async () => {
        stop.abort(backupCanceled())
        throw new Error('the stream was closed')
      }),
    )
    assert.match(String(failed), /canceled/)
    assert.deepEqual(done, ['announced', 'part canceled', 'discarded', 'whole canceled', 'resumed'])
  })

  it('does nothing more after the process was suspended, though no timer has told it yet', async () => {
    const failed = await ended(
      run(async ({ guard, signal }) => {
        guard.throwIfStopped()
        clock.jump(LOST_MS)
        assert.equal(signal.aborted, false)
        guard.throwIfStopped()
      }),
    )
    assert.equal((failed as { code?: unknown }).code, 'HEARTBEAT_LOST')
  })

  it('ends what is under way beside a step that failed', async () => {
    let other: AbortSignal | undefined
    await ended(
      run(async ({ signal }) => {
        other = signal
        throw new Error('broken')
      }),
    )
    assert.equal(other?.aborted, true)
  })
})
