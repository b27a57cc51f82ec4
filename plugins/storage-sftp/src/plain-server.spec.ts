import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { body, get } from '@pbmkit/conformance/testbed'
import { hasCode, type ObjectStore } from '@pbmkit/core/plugin'
import plugin from './index.js'
import { PlainServer } from './plain-server.support.js'

const PASSWORD = 'secret-shown-nowhere'

for (const dialogue of [false, true]) {
  describe(`storage-sftp on a server without extensions that asks for a password${dialogue ? ' in a dialogue' : ''}`, () => {
    let server: PlainServer
    let port: number
    let folder: string
    let store: ObjectStore

    const open = (more: object = {}) => {
      const login = { username: 'pbm', password: PASSWORD, hostKeyFingerprint: server.fingerprint, ...more }
      const context = { signal: new AbortController().signal, warn: () => undefined }
      return plugin.open({ host: '127.0.0.1', port, path: join(folder, 'made/here'), ...login }, context)
    }

    before(async () => {
      server = new PlainServer({ password: PASSWORD, dialogue })
      port = await server.start()
      folder = await mkdtemp(join(tmpdir(), 'pbmkit-plain-'))
      store = await open()
    })
    after(async () => {
      await store?.close()
      await server.stop()
      await rm(folder, { recursive: true })
    })

    it('says what it can not do, and refuses it', async () => {
      const { ifAbsent, serverSideCopy } = store.capabilities
      assert.deepEqual({ ifAbsent, serverSideCopy }, { ifAbsent: false, serverSideCopy: false })
      await assert.rejects(store.save('object', body(), { ifAbsent: true }), (error) =>
        hasCode(error, 'STORAGE_NOT_SUPPORTED'),
      )
    })

    it('saves, replaces, reads, copies, lists and deletes all the same', async () => {
      const bytes = randomBytes(100_001)
      await store.save('folder/object', body(Buffer.from('old')))
      await store.save('folder/object', body(bytes.subarray(0, 7), bytes.subarray(7)))
      assert.ok((await get(store, 'folder/object')).equals(bytes))
      assert.ok((await get(store, 'folder/object', 23_456)).equals(bytes.subarray(23_456)))
      await store.copy('folder/object', 'copy')
      assert.ok((await get(store, 'copy')).equals(bytes))
      const listed: string[] = []
      for await (const { name, size } of store.list()) listed.push(`${name} ${size}`)
      assert.deepEqual(listed.sort(), ['copy 100001', 'folder/object 100001'])
      await store.delete('copy')
      await store.delete('folder/object')
      assert.deepEqual(await readdir(join(folder, 'made/here')), [])
    })

    it('keeps the old object when the new one does not get into its place', async () => {
      await store.save('folder/object', body(Buffer.from('old')))
      let moves = 0
      // Where something is, nothing gets to anyway; then the old one is out of the way.
      server.refuses = (to) => to.endsWith('/folder/object') && ++moves === 1
      try {
        await assert.rejects(store.save('folder/object', body(Buffer.from('new'))))
      } finally {
        server.refuses = () => false
      }
      assert.equal(moves, 2)
      assert.equal((await get(store, 'folder/object')).toString(), 'old')
      assert.deepEqual(await readdir(join(folder, 'made/here/folder')), ['object'])
      await store.delete('folder/object')
    })

    it('is told a wrong password only once its key was found right', async () => {
      const wrong = 'wrong-and-shown-nowhere'
      await assert.rejects(open({ password: wrong }), (error: Error) => {
        assert.ok(hasCode(error, 'STORAGE_DENIED'), String(error))
        return !JSON.stringify([error.message, error.stack, error.cause]).includes(wrong)
      })
      const tried = server.tried.length
      const hostKeyFingerprint = `SHA256:${'A'.repeat(43)}`
      await assert.rejects(open({ hostKeyFingerprint }), /posing as the server/)
      assert.equal(server.tried.length, tried)
    })
  })
}
