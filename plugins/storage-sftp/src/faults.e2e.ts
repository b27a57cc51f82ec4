import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { body, failure, get, names } from '@pbmkit/conformance/testbed'
import { hasCode } from '@pbmkit/core/plugin'
import { temporaryName } from '@pbmkit/core/plugin/kit'
import type { SftpOptions } from './index.js'
import { TestServer } from './sshd.support.js'

const run = promisify(execFile)
const MIB = 1024 ** 2

describe('storage-sftp when things fail', () => {
  const server = new TestServer()
  let options: SftpOptions

  before(async function () {
    await server.start(this)
  })
  beforeEach(async () => {
    options = await server.folder()
  })
  afterEach(() => server.clear())
  after(() => server.stop())

  it('shows nothing of an object whose connection was killed, cleans up, and goes on by itself', async () => {
    const store = await server.open(options)
    await store.save('folder/object', body(Buffer.from('old')))
    async function* cut(): AsyncGenerator<Uint8Array> {
      for (let sent = 0; sent < 20; sent++) yield Buffer.alloc(MIB)
      await server.sftp.killSessions()
      for (;;) yield Buffer.alloc(MIB)
    }
    const error = await failure(store.save('folder/object', cut()))
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE') && error.retriable, String(error))
    assert.equal((await get(store, 'folder/object')).toString(), 'old')
    assert.deepEqual(await names(store), ['folder/object'])
    // The half that was written is removed over the new connection.
    while ((await readdir(join(options.path, 'folder'))).length > 1) await sleep(25)
    await store.save('folder/object', body(Buffer.from('new')))
    assert.equal((await get(store, 'folder/object')).toString(), 'new')
  })

  it('reads on where the connection broke, and tells when the object was replaced', async () => {
    const store = await server.open(options)
    const bytes = randomBytes(24 * MIB)
    await store.save('object', body(bytes))
    const chunks: Uint8Array[] = []
    let killed = false
    for await (const chunk of await store.read('object')) {
      chunks.push(chunk)
      if (!killed) await server.sftp.killSessions()
      killed = true
    }
    assert.ok(Buffer.concat(chunks).equals(bytes))
    killed = false
    const reading = async () => {
      for await (const _ of await store.read('object')) {
        if (killed) continue
        killed = true
        await store.save('object', body(Buffer.alloc(MIB)))
        await server.sftp.killSessions()
      }
    }
    assert.match((await failure(reading())).message, /by now the object was replaced/)
  })

  it('tells that the server is away, and goes on when it is back', async () => {
    const store = await server.open(options)
    await store.save('object', body(Buffer.from('x')))
    await server.sftp.kill()
    const error = await failure(store.stat('object'))
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE') && error.retriable, String(error))
    assert.match(error.message, /nothing listens|broke/)
    await server.sftp.restart()
    assert.equal((await store.stat('object')).size, 1)
  })

  it('ends at once when it is aborted while the server hangs', async () => {
    const store = await server.open(options)
    await store.save('object', body(Buffer.from('x')))
    const controller = new AbortController()
    const { signal } = controller
    await server.sftp.signalSessions('SIGSTOP')
    const calls = [store.stat('object', { signal }), store.save('other', body(Buffer.alloc(9 * MIB)), { signal })]
    const outcomes = Promise.all(calls.map(failure))
    await sleep(100)
    controller.abort()
    for (const error of await outcomes) assert.ok(hasCode(error, 'STORAGE_ABORTED'), String(error))
    await server.sftp.signalSessions('SIGCONT')
    assert.deepEqual(await names(store), ['object'])
  })

  it('tells that the disk is full, leaves nothing, and goes on when there is room', async function () {
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=6m,uid=${server.sftp.uid},mode=0700`, 'tmpfs', options.path])
    } catch (error) {
      console.log(`      not tried: mounting is not permitted here (${(error as Error).message.split('\n')[0]})`)
      this.skip()
    }
    try {
      const store = await server.open(options)
      await store.save('object', body(Buffer.from('old')))
      const error = await failure(store.save('object', body(...Array.from({ length: 20 }, () => Buffer.alloc(MIB)))))
      assert.ok(hasCode(error, 'STORAGE_NO_SPACE'), String(error))
      assert.deepEqual(await readdir(options.path), ['object'])
      await store.save('other', body(Buffer.alloc(3 * MIB)))
      await run('mount', ['-o', 'remount,ro', options.path])
      const refused = await failure(store.save('third', body(Buffer.from('x'))))
      assert.ok(hasCode(refused, 'STORAGE_DENIED'), String(refused))
      assert.match(refused.message, /read-only/)
    } finally {
      await run('umount', ['-l', options.path])
      await server.clear()
    }
  })

  it('tells that it may not write or read, and that the folder is gone or can not be made', async () => {
    const store = await server.open(options)
    await store.save('folder/object', body(Buffer.from('x')))
    await chmod(join(options.path, 'folder'), 0o500)
    for (const work of [
      () => store.save('folder/other', body(Buffer.from('y'))),
      () => store.delete('folder/object'),
    ]) {
      const error = await failure(work())
      assert.ok(hasCode(error, 'STORAGE_DENIED') && !error.retriable, String(error))
    }
    await chmod(join(options.path, 'folder'), 0o700)
    const unmade = await failure(server.open({ ...options, path: '/proc/pbmkit' }))
    assert.match(unmade.message, /storage\.sftp\.path \/proc\/pbmkit does not exist/)
    await writeFile(join(options.path, 'file'), '')
    assert.match((await failure(server.open({ ...options, path: join(options.path, 'file') }))).message, /not a folder/)
    const below = await server.open({ ...options, path: join(options.path, 'a/b') })
    await run('rm', ['-r', join(options.path, 'a')])
    for (const work of [() => below.stat('x'), () => below.save('x/y', body(Buffer.from('z'))), () => names(below)]) {
      const error = await failure(work())
      assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE'), String(error))
      assert.match(error.message, /is gone from the server/)
    }
    const used = await failure(server.open({ ...options, path: join(options.path, 'a') }, { mustExist: true }))
    assert.match(used.message, /is gone from the server/)
    assert.ok(!(await readdir(options.path)).includes('a'))
  })

  it('lists no file that is being written, and removes those of dead processes', async () => {
    const store = await server.open(options)
    const dead = temporaryName().replace(`-${process.pid}-`, '-4194304-')
    for (const name of [dead, temporaryName(), 'object']) await writeFile(join(options.path, name), 'x')
    assert.deepEqual(await names(store), ['object'])
    assert.equal((await readdir(options.path)).length, 2)
  })

  it('keeps "only if absent" when many write at once', async () => {
    const store = await server.open(options)
    const saves = [1, 2, 3, 4].map((fill) => store.save('object', body(Buffer.alloc(MIB, fill)), { ifAbsent: true }))
    const outcomes = await Promise.allSettled(saves)
    const [winner = 0] = await get(store, 'object')
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') assert.equal(index + 1, winner)
      else assert.ok(hasCode(outcome.reason, 'STORAGE_EXISTS'), String(outcome.reason))
    }
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.deepEqual(await readdir(options.path), ['object'])
  })

  describe('the key of the server', () => {
    const without = ({ hostKeyFingerprint: _, ...rest }: SftpOptions): SftpOptions => rest

    it('is never trusted blindly: its fingerprint is told, and what to configure', async () => {
      const error = await failure(server.open(without(options)))
      assert.ok(hasCode(error, 'STORAGE_DENIED'), String(error))
      assert.ok(error.message.includes('storage.sftp.hostKeyFingerprint: SHA256:'), error.message)
      const [, shown = ''] = /hostKeyFingerprint: (SHA256:[^ ,]+)/.exec(error.message) ?? []
      await server.open({ ...options, hostKeyFingerprint: shown })
      // Refused before the server was told who comes.
      assert.doesNotMatch(server.sftp.logTail().split('\n').slice(-3).join('\n'), /authenticating user/)
    })

    it('is found by its fingerprint whatever its kind, and by known_hosts', async () => {
      const { stdout } = await run('ssh-keygen', ['-lf', join(server.sftp.privateKeyFile, '..', 'host_rsa.pub')])
      for (const hostKeyFingerprint of [stdout.split(' ')[1] ?? '', server.sftp.fingerprint]) {
        await server.open({ ...options, hostKeyFingerprint })
      }
      await server.open({ ...without(options), knownHosts: server.sftp.knownHosts })
      const hashed = join(server.sftp.folder, 'hashed')
      await writeFile(hashed, await readFile(server.sftp.knownHosts))
      await run('ssh-keygen', ['-H', '-f', hashed])
      assert.match(await readFile(hashed, 'utf8'), /^\|1\|/)
      await server.open({ ...without(options), knownHosts: hashed })
    })

    it('that is another is refused, and one that was changed', async () => {
      const hostKeyFingerprint = `SHA256:${randomBytes(32).toString('base64').replace('=', '')}`
      const wrong = await failure(server.open({ ...options, hostKeyFingerprint }))
      assert.ok(hasCode(wrong, 'STORAGE_DENIED'), String(wrong))
      assert.match(wrong.message, /posing as the server/)
      const empty = join(server.sftp.folder, 'empty')
      await writeFile(empty, '# nobody\n')
      const unknown = await failure(server.open({ ...without(options), knownHosts: empty }))
      assert.match(unknown.message, /has no line for it/)
      const missing = await failure(server.open({ ...without(options), knownHosts: `${empty}.not` }))
      assert.match(missing.message, /knownHosts .* can't be read/)
      const store = await server.open(options)
      await server.sftp.changeHostKey()
      const changed = await failure(store.stat('object'))
      assert.ok(hasCode(changed, 'STORAGE_DENIED') && !changed.retriable, String(changed))
      const listed = await failure(server.open({ ...without(options), knownHosts: server.sftp.knownHosts }))
      assert.match(listed.message, /differs from what .* holds for it/)
      // For the tests after this one.
      await server.stop()
    })
  })
})
