import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  compareStates,
  type DatabaseState,
  PBM_USER,
  randomWork,
  seededRandom,
  snapshotState,
} from '@pbmkit/conformance/testbed'
import { clusterTime, findRestore, listChunks, type RestoreCommand, requireConfig } from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  outputs,
  restoreEnded,
  sendRestore,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import { assertHoldsOplog, storedUntilNow } from './slicing.support.js'

const SEED = Number(process.env.PBMKIT_SEED ?? Date.now() % 1_000_000)
const DATABASES = ['one', 'two']
const PITR = 'pitr: {enabled: true, oplogSpanMin: 0.05}\n'

interface Moment {
  readonly time: Timestamp
  readonly state: DatabaseState
}

/** Only what was chosen is replaced, by exactly what it was. */
describe(`restores of chosen namespaces (PBMKIT_SEED=${SEED})`, function () {
  this.timeout(300_000)
  const random = seededRandom(SEED)
  const moments: Moment[] = []
  /** Of restores that were under way. */
  const during: Moment[] = []
  let cluster: Cluster
  let base = ''

  before(async () => {
    cluster = await startCluster({ members: 1 })
    await cluster.configure(filesystemConfig(cluster.storage, PITR))
    await randomWork(cluster.admin, DATABASES, random, 80)
    base = await done(await cluster.backup())
    for (let n = 0; n < 4; n++) await workAndNote()
  })
  after(() => cluster?.stop())

  async function workAndNote(): Promise<void> {
    await randomWork(cluster.admin, DATABASES, random, 30)
    moments.push({ state: await snapshotState(cluster.admin), time: await clusterTime(cluster.leader) })
  }

  /** What the server was still at when its client stopped comes to its end first. */
  async function settled(): Promise<Moment> {
    for (;;) {
      const state = await snapshotState(cluster.admin)
      const time = await clusterTime(cluster.leader)
      if (compareStates(state, await snapshotState(cluster.admin)).length === 0) return { state, time }
    }
  }

  async function done(name: string): Promise<string> {
    const { status, error = '' } = await backupEnded(cluster, name)
    assert.deepEqual([status, error], ['done', ''], outputs(cluster))
    await unlocked(cluster)
    return name
  }

  async function restore(backup: string, command: Partial<RestoreCommand>): Promise<string | undefined> {
    const { status, error } = await restoreEnded(cluster, await sendRestore(cluster.leader, backup, command))
    await unlocked(cluster)
    return status === 'done' ? undefined : (error ?? status)
  }

  it('give each moment back, and leave all else as it is', async () => {
    await storedUntilNow(cluster)
    for (const [index, { state, time }] of [...moments].entries()) {
      const names = Object.entries(state.dbs).flatMap(([db, collections]) =>
        Object.keys(collections)
          .filter((name) => !name.startsWith('system.'))
          .map((name) => `${db}.${name}`),
      )
      const one = names[random(names.length)] ?? ''
      const other = names[random(names.length)] ?? ''
      const nss = index % 2 === 0 ? [...new Set([one, other])] : [`${one.split('.')[0]}.*`]
      const before = await snapshotState(cluster.admin)
      assert.equal(await restore(base, { nss, oplogTS: time }), undefined, `${nss} at ${time.t},${time.i}`)
      const expected = withChosen(before, state, nss)
      const found = compareStates(expected, await snapshotState(cluster.admin)).filter(isUnexpected(nss))
      assert.deepEqual(found, [], `${nss} at ${time.t},${time.i}`)
    }
  })

  it('put what a database was beside it, and leave it as it is', async () => {
    const moment = moments[random(moments.length)]
    assert.ok(moment)
    const { state, time } = moment
    const before = await snapshotState(cluster.admin)
    const [db = ''] = Object.keys(state.dbs)
    const pairs = [{ from: `${db}.*`, to: 'beside.*' }]
    assert.equal(await restore(base, { pairs, oplogTS: time }), undefined)
    const { beside, ...dbs } = (await snapshotState(cluster.admin)).dbs
    assert.deepEqual(compareStates(before, { ...before, dbs }), [])
    const only = (collections: DatabaseState['dbs'][string] = {}) => ({
      dbs: { beside: collections },
      users: [],
      roles: [],
    })
    const found = compareStates(only(state.dbs[db]), only(beside)).filter(isUnexpected(['beside.*']))
    assert.deepEqual(found, [], `${db} at ${time.t},${time.i}`)
    await cluster.admin.db('beside').dropDatabase()
  })

  for (const layout of ['objects', 'archive'] as const) {
    it(`give back what a selective backup has, and no more: layout ${layout}`, async () => {
      const more = layout === 'archive' ? 'backup: {layout: archive}\n' : ''
      await cluster.configure(filesystemConfig(cluster.storage, `${PITR}${more}`))
      const db = cluster.admin.db('chosen')
      await db.collection<{ _id: number }>('kept').insertOne({ _id: 1 })
      await db.createCollection('series', { timeseries: { timeField: 't' } })
      await db.collection('series').insertOne({ t: new Date(0), v: 1 })
      const nss = ['chosen.kept', 'chosen.series']
      const name = await done(await cluster.backup({ nss }))
      const before = await snapshotState(cluster.admin)
      await db.collection('kept').drop()
      await db.collection('series').drop()
      const wider = await restore(name, { nss: ['chosen.*'] })
      assert.match(wider ?? '', /is selective: it has chosen\.kept, chosen\.series, and not chosen\.\*/)
      assert.match((await restore(name, { nss: ['one.*'], usersAndRoles: true })) ?? '', /and not one/)
      assert.equal(await restore(name, {}), undefined)
      const found = compareStates(before, await snapshotState(cluster.admin)).filter(isUnexpected(nss))
      assert.deepEqual(found, [])
      await db.dropDatabase()
    })
  }

  it('are in the oplog, which goes on to be stored', async () => {
    assert.equal((await requireConfig(cluster.leader)).pitr?.enabled, true)
    await workAndNote()
    await storedUntilNow(cluster)
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('go on after their agent stood still at some moment', async () => {
    const [agent] = cluster.agents
    assert.ok(agent)
    for (let n = 0; n < 3; n++) {
      const oplogTS = moments[random(moments.length)]?.time
      const nss = DATABASES.map((db) => `${db}.*`)
      const name = await sendRestore(cluster.leader, base, { nss, ...(oplogTS && { oplogTS }) })
      await until('the restore to change data', async () => {
        const { status = 'starting' } = (await findRestore(cluster.leader, name)) ?? {}
        return status !== 'starting'
      })
      await sleep(random(300))
      agent.signal('SIGSTOP')
      try {
        during.push(await settled())
      } finally {
        agent.signal('SIGCONT')
      }
      const { status, error = '' } = await restoreEnded(cluster, name)
      assert.deepEqual([status, error], ['done', ''], outputs(cluster))
      await unlocked(cluster)
    }
    await storedUntilNow(cluster)
  })

  it('let every moment before, within and after them be gone back to', async () => {
    for (const { state, time } of [moments.at(-1), moments[2], ...during].flatMap((moment) => moment ?? [])) {
      for (const db of DATABASES) await cluster.admin.db(db).dropDatabase()
      assert.equal(await restore(base, { oplogTS: time }), undefined)
      const found = compareStates(withoutStaging(state), withoutStaging(await snapshotState(cluster.admin)), {
        ignoreUsers: [`admin.${PBM_USER.user}`],
      })
      assert.deepEqual(found, [], `${time.t},${time.i}`)
    }
  })
})

/** `before`, with what `nss` chooses as `state` has it. What is there by now only stays. */
function withChosen(before: DatabaseState, state: DatabaseState, nss: readonly string[]): DatabaseState {
  const dbs = structuredClone(before.dbs) as Record<string, Record<string, DatabaseState['dbs'][string][string]>>
  for (const [db, collections] of Object.entries(state.dbs)) {
    for (const [name, collection] of Object.entries(collections)) {
      const ns = `${db}.${name.replace('system.buckets.', '')}`
      if (!nss.includes(ns) && !nss.includes(`${db}.*`)) continue
      dbs[db] = { ...dbs[db], [name]: collection }
    }
  }
  return { ...before, dbs }
}

/** Where a restore puts together what it takes from there: whoever comes back to that moment drops it. */
function withoutStaging({ dbs, ...rest }: DatabaseState): DatabaseState {
  return { ...rest, dbs: Object.fromEntries(Object.entries(dbs).filter(([db]) => !db.startsWith('pbmkit_staging_'))) }
}

/** A restored collection has a UUID of its own. */
function isUnexpected(nss: readonly string[]): (difference: string) => boolean {
  return (difference) => {
    const [, ns = ''] = /^(\S+): uuid /.exec(difference) ?? []
    return !nss.includes(ns) && !nss.includes(`${ns.split('.')[0]}.*`)
  }
}
