import assert from 'node:assert/strict'
import { compareRoles } from './gained-roles.js'

const user = (name: string, ...roles: string[]) => ({
  _id: `admin.${name}`,
  roles: roles.map((role) => {
    const [own = '', db = 'admin'] = role.split('@')
    return { role: own, db }
  }),
})
const none = { users: [], roles: [] }

describe('roles that users would gain by a restore', () => {
  it('are those of new administrators, and new ones of users that are there', () => {
    const before = { users: [user('old', 'root'), user('app', 'readWrite@shop')], roles: [] }
    const after = {
      users: [user('old', 'root'), user('app', 'readWrite@shop', 'dbOwner@admin'), user('new', 'userAdminAnyDatabase')],
      roles: [],
    }
    assert.deepEqual(compareRoles(before, after), [
      { user: 'admin.app', roles: ['dbOwner@admin'] },
      { user: 'admin.new', roles: ['userAdminAnyDatabase@admin'] },
    ])
    assert.deepEqual(compareRoles(after, after), [])
  })

  it('are none for who reads, writes and backs up', () => {
    const after = { users: [user('app', 'readWriteAnyDatabase', 'backup', 'root@shop')], roles: [] }
    assert.deepEqual(compareRoles(none, after), [])
  })

  it('are found behind roles of their own, at any depth, also where these have each other', () => {
    const roles = [
      {
        _id: 'admin.a',
        roles: [
          { role: 'b', db: 'admin' },
          { role: 'c', db: 'shop' },
        ],
      },
      { _id: 'admin.b', roles: [{ role: 'a', db: 'admin' }] },
      { _id: 'shop.c', privileges: [{ actions: ['find'] }, { actions: ['anyAction'] }] },
    ]
    const after = { users: [user('x', 'a'), user('y', 'b'), user('z', 'harmless')], roles }
    assert.deepEqual(
      compareRoles(none, after).map((gained) => gained.user),
      ['admin.x', 'admin.y'],
    )
    // The same name, and more behind it now.
    assert.deepEqual(compareRoles({ users: after.users, roles: [] }, after).length, 2)
  })

  it('are looked for in documents of any shape', () => {
    const strange = { _id: 'admin.s', roles: 7, privileges: [null, { actions: 'all' }] }
    const after = { users: [strange, user('x', 's')], roles: [strange] } as unknown as typeof none
    assert.deepEqual(compareRoles(none, after), [])
  })
})
