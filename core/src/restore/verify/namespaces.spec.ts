import assert from 'node:assert/strict'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { raw } from '../../oplog/replay/oplog-entries.support.js'
import { refuseInvalidNamespaces } from './namespaces.js'

function namespace(db: string, collection: string, more: Partial<NamespaceMetadata> = {}): NamespaceMetadata {
  return { db, collection, collectionName: collection, type: 'collection', indexes: [], crc: 0n, size: 0, ...more }
}

const UUID = '0123456789abcdef0123456789abcdef'

describe('Namespaces that a backup lists', () => {
  it('may be named as servers let them', async () => {
    const names = ['a', 'A', 'a.b', 'a b', 'weird/na me%é:x?&#', 'a$b', 'system.js', 'x'.repeat(255)]
    await refuseInvalidNamespaces(names.map((name) => namespace('shop', name)))
    await refuseInvalidNamespaces([namespace('o:d?d', 'a', { uuid: UUID }), namespace('admin', 'system.version')])
  })

  const refused: [string, NamespaceMetadata[]][] = [
    ['no database', [namespace('', 'a')]],
    ['a database with a dot', [namespace('admin.pbm', 'a')]],
    ['a path', [namespace('../shop', 'a')]],
    ['no collection', [namespace('shop', '')]],
    ['a collection of commands', [namespace('shop', '$cmd')]],
    ['a NUL', [namespace('admin', 'pbmConfig\0')]],
    ['the views of a database', [namespace('shop', 'system.views')]],
    ['a name twice', [namespace('shop', 'a'), namespace('shop', 'a')]],
    ['a UUID twice', [namespace('shop', 'a', { uuid: UUID }), namespace('shop', 'b', { bucketsUuid: UUID })]],
    ['a UUID that is none', [namespace('shop', 'a', { uuid: 'x' })]],
    ['another command in the options', [namespace('shop', 'a', { options: raw({ create: 'pbmConfig' }) })]],
    ['a field of the protocol in the options', [namespace('shop', 'a', { options: raw({ $db: 'admin' }) })]],
  ]
  for (const [what, namespaces] of refused) {
    it(`are refused with ${what}`, async () => {
      await assert.rejects(refuseInvalidNamespaces(namespaces), {
        code: 'BACKUP_DAMAGED',
        message: /list of namespaces/,
      })
    })
  }
})
