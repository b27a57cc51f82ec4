import assert from 'node:assert/strict'
import { raw } from '../../oplog/replay/oplog-entries.support.js'
import { collectDocuments } from './users-and-roles.js'

const USERS = { db: 'admin', collection: 'pbmRUsers' }

/** Gives `chunk` again and again, and counts. */
function endless(chunk: Buffer) {
  const given = { chunks: 0 }
  const source = async function* () {
    for (;;) {
      given.chunks++
      yield chunk
    }
  }
  return { given, source: source() }
}

describe('Users and roles of a backup', () => {
  it('are held, whole and in order', async () => {
    const documents = ['admin.a', 'shop.b'].map((_id) => raw({ _id }))
    const source = async function* () {
      for (const byte of Buffer.concat(documents)) yield Buffer.of(byte)
    }
    assert.deepEqual(await collectDocuments(USERS, source()), documents)
  })

  it('are refused when one has a query for its name', async () => {
    const { source } = endless(raw({ _id: { $gte: '' } }))
    await assert.rejects(collectDocuments(USERS, source), { code: 'BACKUP_DAMAGED' })
  })

  it('are refused when they would fill the memory, by their bytes and by their number', async () => {
    const large = endless(raw({ _id: 'a', text: 'x'.repeat(1024 * 1024) }))
    const small = endless(Buffer.concat(Array<Buffer>(1000).fill(raw({ _id: '' }))))
    for (const { given, source } of [large, small]) {
      await assert.rejects(collectDocuments(USERS, source), { code: 'OBJECT_TOO_LARGE', message: /admin\.pbmRUsers/ })
      assert.ok(given.chunks < 1000)
    }
  })
})
