import assert from 'node:assert/strict'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { listPhysicalRestores, readPhysicalRestore } from './physical-restores.js'

const NAME = '2031-02-05T01:02:03.000000004Z'
const FOLDER = `.pbm.restore/${NAME}`

describe('physical restores on a storage', () => {
  let store: FaultyStore
  const put = (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(files)) store.put(name, text)
  }
  beforeEach(() => {
    store = new FaultyStore()
  })

  it('are listed by their records, oldest first', async () => {
    put({
      '.pbm.restore/b.json': '{}',
      '.pbm.restore/a.json': '{}',
      '.pbm.restore/a/cluster.done': '1',
      '.pbm.restore/a/x.json': '{}',
      '.pbm.restore/..%2Fevil name.json': '{}',
    })
    assert.deepEqual(await listPhysicalRestores(store), ['a', 'b'])
  })

  it('are their record, and what the files of members and replica sets say beyond it', async () => {
    put({
      [`${FOLDER}.json`]: JSON.stringify({
        ...{ status: 'done', name: 'another', opid: 'ab', backup: '2031-02-03T04:05:06Z', type: 'incremental' },
        ...{
          bcp_chain: ['base', 'target'],
          start_ts: 100,
          last_transition_ts: 200,
          pitr: 150,
          replsets: [{ name: 'x' }],
        },
      }),
      [`${FOLDER}/cluster.starting`]: '100',
      [`${FOLDER}/cluster.partlyDone`]: '260',
      [`${FOLDER}/cluster.hb`]: '250',
      [`${FOLDER}/rs.rs0/rs.running`]: '120',
      [`${FOLDER}/rs.rs0/rs.partlyDone`]: '255',
      [`${FOLDER}/rs.rs0/rs.hb`]: '249',
      [`${FOLDER}/rs.rs0/rs.txn`]: '[]',
      [`${FOLDER}/rs.rs0/node.db-1.example.com:27017.running`]: '120',
      [`${FOLDER}/rs.rs0/node.db-1.example.com:27017.done`]: '240',
      [`${FOLDER}/rs.rs0/node.db-2.example.com:27017.error`]: '245:no space: left',
      [`${FOLDER}/rs.rs0/node.db-2.example.com:27017.ext.dump`]: '{}',
      [`${FOLDER}/rs.rs0/stat.db-1.example.com:27017`]: '{}',
      [`${FOLDER}/rs.rs0/log/db-1.example.com:27017.0.log`]: 'text',
    })
    const restore = await readPhysicalRestore(store, NAME)
    assert.ok(restore)
    const { status, name, type, backup, bcp_chain, pitr, last_transition_ts, hb, replsets, error } = restore
    assert.deepEqual(
      { status, name, type, backup, bcp_chain, pitr, last_transition_ts, error, hb: hb.t },
      {
        ...{ status: 'partlyDone', name: NAME, type: 'physical', backup: '2031-02-03T04:05:06Z' },
        ...{ bcp_chain: ['base', 'target'], pitr: 150, last_transition_ts: 260, error: undefined, hb: 250 },
      },
    )
    const [replset, ...more] = replsets
    assert.deepEqual([more.length, replset?.name, replset?.status, replset?.hb.t], [0, 'rs0', 'partlyDone', 249])
    assert.deepEqual(
      replset?.nodes?.map((node) => [node.name, node.status, node.conditions.at(-1)?.error]),
      [
        ['db-1.example.com:27017', 'done', undefined],
        ['db-2.example.com:27017', 'error', 'no space: left'],
      ],
    )
  })

  it('have failed where every member of a replica set has, also while nobody has written that down', async () => {
    put({
      [`${FOLDER}/cluster.running`]: '100',
      [`${FOLDER}/rs.rs0/rs.running`]: '100',
      [`${FOLDER}/rs.rs0/node.a:1.running`]: '100',
      [`${FOLDER}/rs.rs0/node.a:1.error`]: '100:broken',
    })
    const restore = await readPhysicalRestore(store, NAME)
    assert.deepEqual([restore?.status, restore?.error], ['error', 'broken'])
    assert.deepEqual([restore?.replsets[0]?.status, restore?.replsets[0]?.error], ['error', 'broken'])
  })

  it('are nothing where nothing is there, and no path out of the folder', async () => {
    assert.equal(await readPhysicalRestore(store, NAME), undefined)
    store.put('elsewhere.json', '{}')
    assert.equal(await readPhysicalRestore(store, '../elsewhere'), undefined)
  })

  it('are refused where the record is damaged, and never trusted beyond its types', async () => {
    store.put(`${FOLDER}.json`, '{"status": ')
    await assert.rejects(readPhysicalRestore(store, NAME), { code: 'RESTORE_RECORD' })
    store.put(`${FOLDER}.json`, '{"status": {"$gt": 1}, "backup": 7, "bcp_chain": [{}], "pitr": -1, "start_ts": "x"}')
    const restore = await readPhysicalRestore(store, NAME)
    assert.deepEqual(
      [restore?.status, restore?.backup, restore?.bcp_chain, restore?.pitr, restore?.start_ts],
      ['starting', '', [''], 0, 0],
    )
  })
})
