import assert from 'node:assert/strict'
import { Timestamp } from 'mongodb'
import type { RestoreCommand } from '../../control/command-document.js'
import { restoreCommand } from '../restore.support.js'
import { refuseParts, refuseUnitsOwn } from './prepare.js'

describe('a physical restore', () => {
  const PARTS: Partial<RestoreCommand>[] = [
    { nss: ['shop.orders'] },
    { nsFrom: 'shop.orders', nsTo: 'shop.copy' },
    { pairs: [{ from: 'shop.*', to: 'then.*' }] },
    { keepExisting: true },
    { query: '{}' },
    { usersAndRoles: true },
    { withoutUsersAndRoles: true },
    { external: true },
  ]

  it('is of all that a backup has, to any time, and refused where something else is asked for', () => {
    const { restore } = restoreCommand('b')
    refuseParts(restore)
    refuseParts({ ...restore, oplogTS: new Timestamp({ t: 5, i: 1 }) })
    refuseParts({ ...restore, nss: [], nsFrom: '', pairs: [] })
    for (const part of PARTS)
      assert.throws(() => refuseParts({ ...restore, ...part }), { code: 'RESTORE_UNSUPPORTED' }, JSON.stringify(part))
  })

  it('is refused by an agent of systemd that is not told how its mongod is started', () => {
    const env = { INVOCATION_ID: 'a', SYSTEMD_EXEC_PID: '7' }
    assert.throws(() => refuseUnitsOwn(undefined, env, 7), { code: 'RESTORE_UNSUPPORTED' })
    assert.throws(() => refuseUnitsOwn(undefined, { INVOCATION_ID: 'a' }, 7), { code: 'RESTORE_UNSUPPORTED' })
    refuseUnitsOwn('systemctl start mongod', env, 7)
    // Started by what a unit has started, and by hand.
    refuseUnitsOwn(undefined, env, 8)
    refuseUnitsOwn(undefined, {}, 7)
  })
})
