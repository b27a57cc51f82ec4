import assert from 'node:assert/strict'
import { Timestamp } from 'mongodb'
import type { RestoreCommand } from '../../control/command-document.js'
import { restoreCommand } from '../restore.support.js'
import { refuseParts } from './prepare.js'

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
})
