import { strict as assert } from 'node:assert'
import { judgeRights, rightsMissing } from './rights.js'
import { databaseRole, ROLE_KINDS } from './roles.js'

const users = { authenticatedUsers: [{ user: 'pbm', db: 'admin' }] }
const told = (authenticatedUserPrivileges: readonly object[]) => ({ ...users, authenticatedUserPrivileges })

describe('Rights', () => {
  it('are all there for who has the role itself, plain and sharded', () => {
    for (const kind of ROLE_KINDS) {
      for (const sharded of [false, true]) {
        const { privileges } = databaseRole(kind, { sharded })
        assert.equal(judgeRights(told(privileges), kind, { sharded }), undefined, kind)
        const physical = databaseRole(kind, { sharded, physical: true }).privileges
        assert.equal(judgeRights(told(physical), kind, { sharded, physical: true }), undefined, kind)
      }
    }
  })

  it('are all there for any action on any resource, and where the server knows no users', () => {
    const any = [{ resource: { anyResource: true }, actions: ['anyAction'] }]
    assert.equal(judgeRights(told(any), 'agent', { sharded: true }), undefined)
    assert.equal(judgeRights({ authenticatedUsers: [] }, 'agent'), undefined)
  })

  it('name each action that lacks, and where', () => {
    const { privileges } = databaseRole('agent')
    const less = privileges.map(({ resource, actions }) => ({
      resource,
      actions: actions.filter((action) => action !== 'applyOps' && action !== 'update'),
    }))
    const missing = judgeRights(told(less), 'agent')
    assert.ok(missing !== undefined)
    const { code, message, hint } = rightsMissing(missing)
    assert.equal(code, 'RIGHTS_MISSING')
    const begin = 'the database user pbm@admin lacks rights: applyOps on the cluster; update on every collection; '
    assert.ok(message.startsWith(begin), message)
    assert.match(message, /; update on system\.js of every database; .*; update on admin\.system\.users/)
    assert.match(hint ?? '', /pbmkitAgent.*pbm setup-roles/)
  })

  it('on every collection hold for those of each database, but not for config, local and system collections', () => {
    const held = [{ resource: { db: '', collection: '' }, actions: ['find', 'insert', 'update'] }]
    const lacking = judgeRights(told(held), 'viewer')?.missing.map(({ resource }) => resource)
    assert.deepEqual(lacking, [
      { cluster: true },
      { db: 'admin', collection: 'system.version' },
      { db: 'config', collection: 'settings' },
      { db: 'config', collection: 'shards' },
    ])
  })

  it('on a whole database hold for its collections', () => {
    const held = [
      { resource: { db: 'config', collection: '' }, actions: ['find'] },
      { resource: { db: 'admin', collection: '' }, actions: ['find'] },
      { resource: { db: '', collection: 'system.version' }, actions: ['find'] },
    ]
    assert.deepEqual(
      judgeRights(told(held), 'viewer')?.missing.map(({ resource }) => resource),
      [{ cluster: true }],
    )
  })
})
