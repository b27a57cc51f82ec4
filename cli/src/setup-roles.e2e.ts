import assert from 'node:assert/strict'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { type DatabaseRole, databaseRole, findRestore, listAgents, sendCommand } from '@pbmkit/core'
import { type MongoClient, Timestamp } from 'mongodb'
import { type Cluster, startCluster, until } from './cluster.support.js'

describe('pbm setup-roles, and users who have no more', () => {
  let cluster: Cluster
  let admin: MongoClient
  const asAdmin = () => ({ env: { PBM_MONGODB_URI: cluster.set.adminUri } })
  const privilegesOf = async (name: string) => {
    const query = { rolesInfo: { role: name, db: 'admin' }, showPrivileges: true }
    return (await admin.db('admin').command(query)).roles[0]?.privileges as DatabaseRole['privileges'] | undefined
  }
  const sorted = (privileges: DatabaseRole['privileges'] = []) =>
    privileges.map(({ resource, actions }) => JSON.stringify([resource, [...actions].sort()])).sort()

  before(async () => {
    cluster = await startCluster()
    admin = await cluster.set.client()
    await admin.db('shop').collection('orders').insertOne({ a: 1 })
  })

  after(() => cluster.stop())

  it('prints roles as commands of the server, and as a script that makes or changes them', async () => {
    const { value } = await cluster.json(['setup-roles', '--role', 'viewer', '--role', 'backup-agent', '--sharded'])
    const wanted = [databaseRole('viewer'), databaseRole('backup-agent', { sharded: true })]
    assert.deepEqual(
      value,
      wanted.map(({ name, privileges, roles }) => ({ createRole: name, privileges, roles })),
    )

    const { stdout } = await cluster.pbm(['setup-roles', '--role', 'viewer', '--role', 'backup-agent', '--sharded'])
    for (const [there, serverVersion] of [
      [false, '4.4.2'],
      [true, '6.0.5'],
      [true, '8.0.4'],
    ] as const) {
      const sent: [string, ...unknown[]][] = []
      const database = {
        getRole: () => (there ? {} : null),
        createRole: (role: DatabaseRole) => sent.push(['create', role.name, role]),
        updateRole: (name: string, role: DatabaseRole) => sent.push(['update', name, role]),
      }
      runInNewContext(stdout, { db: { getSiblingDB: () => database, version: () => serverVersion } })
      const verb = there ? 'update' : 'create'
      assert.deepEqual(
        sent.map(([did]) => did),
        [verb, verb],
      )
      // Which servers before 5.0 and before 8.0 refuse.
      assert.equal(JSON.stringify(sent).includes('system_buckets'), there)
      assert.equal(JSON.stringify(sent).includes('issueDirectShardOperations'), serverVersion === '8.0.4')
    }
  })

  it('creates them, changes those that are there, and gives one to a user', async () => {
    const first = await cluster.json(
      ['setup-roles', '--create', '--role', 'viewer', '--role', 'backup-agent'],
      asAdmin(),
    )
    assert.deepEqual(first.value, { replset: 'rs0', created: ['pbmkitViewer', 'pbmkitBackupAgent'], changed: [] })
    await admin.db('admin').command({ updateRole: 'pbmkitBackupAgent', privileges: [], roles: ['root'] })
    await admin.db('admin').command({ createUser: 'backups', pwd: 'secret', roles: [] })
    const again = await cluster.json(
      ['setup-roles', '--create', '--role', 'backup-agent', '--grant', 'backups'],
      asAdmin(),
    )
    assert.deepEqual(again.value, { replset: 'rs0', created: [], changed: ['pbmkitBackupAgent'], granted: 'backups' })
    assert.deepEqual(sorted(await privilegesOf('pbmkitBackupAgent')), sorted(databaseRole('backup-agent').privileges))
    const { users } = await admin.db('admin').command({ usersInfo: 'backups' })
    assert.deepEqual(users[0].roles, [{ role: 'pbmkitBackupAgent', db: 'admin' }])
  })

  it('refuses who may not, a user who is not there, and options that do not go together', async () => {
    const denied = await cluster.json(['setup-roles', '--create'])
    assert.equal((denied.value as { code: string }).code, 'ROLES_DENIED')
    const nobody = ['setup-roles', '--create', '--role', 'viewer', '--grant', 'nobody']
    const unknown = await cluster.json(nobody, asAdmin())
    assert.equal((unknown.value as { code: string }).code, 'USER_NOT_FOUND')
    for (const args of [
      ['--grant', 'nobody'],
      ['--role', 'boss'],
    ])
      assert.equal((await cluster.pbm(['setup-roles', ...args])).code, 2)
  })

  it('lets an agent back up with the smaller role; it refuses restores before anything is dropped', async () => {
    cluster.set.rememberUser('backups', 'secret')
    const agent = await cluster.startAgent(cluster.set.uri({ user: 'backups', member: 0, direct: true }))
    const input = `storage: {type: filesystem, filesystem: {path: ${join(cluster.folder, 'backups')}}}`
    const configured = await cluster.pbm(['config', '--file', '-', '--wait'], { input })
    assert.equal(configured.code, 0, configured.stderr)
    const backup = await cluster.json(['backup', '--wait'])
    assert.equal(backup.code, 0, JSON.stringify(backup.value))
    const { name } = backup.value as { name: string }
    assert.match((await cluster.pbm(['status', '-s', 'cluster'])).stdout, /OK for backups; its user may not restore/)
    const refused = await cluster.json(['restore', name, '-y'])
    const { code, Error: message } = refused.value as { code: string; Error: string }
    assert.equal(code, 'RIGHTS_MISSING')
    assert.match(
      message,
      /backups@admin lacks rights: applyOps, forceUUID, setParameter on the cluster; .*pbm setup-roles/,
    )

    // PBM's command line does not look at it.
    const restore = '2031-02-03T04:05:06.000000007Z'
    await sendCommand(cluster.leader, {
      cmd: 'restore',
      restore: {
        ...{ name: restore, backupName: name, fallbackEnabled: null, allowPartlyDone: null },
        ...{ external: false, extConf: null, extTS: new Timestamp({ t: 0, i: 0 }), exit: false },
      },
    })
    await until('the restore to end', async () => (await findRestore(cluster.leader, restore))?.status === 'error')
    assert.match((await findRestore(cluster.leader, restore))?.error ?? '', /lacks rights.*[Nn]othing of the data/)
    assert.equal(await admin.db('shop').collection('orders').countDocuments(), 1)
    await agent.stop()
  })

  it('names what an agent lacks for backups in its status', async () => {
    await admin.db('admin').command({
      updateRole: 'pbmkitBackupAgent',
      privileges: databaseRole('backup-agent').privileges.map(({ resource, actions }) => ({
        resource,
        actions: actions.filter((action) => action !== 'useUUID'),
      })),
    })
    await cluster.startAgent(cluster.set.uri({ user: 'backups', member: 0, direct: true }))
    await until('its report', async () => (await listAgents(cluster.leader)).every(({ nodes }) => !nodes.ok))
    assert.match((await cluster.pbm(['status', '-s', 'cluster'])).stdout, /lacks rights: useUUID on the cluster/)
    const { value } = await cluster.json(['backup'])
    assert.match((value as { Error: string }).Error, /its mongod: .*lacks rights: useUUID on the cluster/)
  })

  it('tells who may only look what they lack to give commands, and who lets them', async () => {
    await admin.db('admin').command({ createUser: 'looker', pwd: 'secret', roles: [] })
    cluster.set.rememberUser('looker', 'secret')
    const asLooker = { env: { PBM_MONGODB_URI: cluster.set.uri({ user: 'looker' }) } }
    const viewer = ['setup-roles', '--create', '--role', 'viewer', '--grant', 'looker']
    assert.equal((await cluster.json(viewer, asAdmin())).code, 0)
    const { value } = await cluster.json(['config', '--set', 'pitr.enabled=false'], asLooker)
    const { code, Error: message, hint } = value as { code: string; Error: string; hint: string }
    assert.deepEqual([code, message], ['NOT_PERMITTED', 'the user may not update on admin.pbmConfig'])
    assert.match(hint, /pbmkitOperator.*pbm setup-roles --create --role operator --grant USER/)
  })
})
