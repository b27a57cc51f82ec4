import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { failure, freePort } from '@pbmkit/conformance/testbed'
import { hasCode } from '@pbmkit/core/plugin'
import type { SftpOptions } from './index.js'
import { TestServer } from './sshd.support.js'

const run = promisify(execFile)

describe('storage-sftp logs in', () => {
  const server = new TestServer()
  let options: SftpOptions
  const keyless = ({ privateKeyFile: _, ...rest }: SftpOptions): SftpOptions => rest

  before(async function () {
    await server.start(this)
  })
  beforeEach(async () => {
    options = await server.folder()
  })
  afterEach(() => server.clear())
  after(() => server.stop())

  it('by a key in the configuration, and by one that is sealed', async () => {
    await server.open({ ...keyless(options), privateKey: await readFile(server.sftp.privateKeyFile, 'utf8') })
    const { sealedKeyFile: privateKeyFile, passphrase } = server.sftp
    await server.open({ ...options, privateKeyFile, passphrase })
  })

  it('and tells of a key that is sealed, opens with another passphrase, is public, or is missing', async () => {
    const { sealedKeyFile: privateKeyFile } = server.sftp
    const secret = 'wrong-and-shown-nowhere'
    const wrong = await failure(server.open({ ...options, privateKeyFile, passphrase: secret }))
    assert.match(wrong.message, /can't be opened with storage\.sftp\.passphrase/)
    assert.ok(!JSON.stringify([wrong, wrong.message, String(wrong.cause)]).includes(secret))
    for (const [more, text] of [
      [{ privateKeyFile }, /is encrypted; set storage\.sftp\.passphrase/],
      [{ privateKeyFile: `${server.sftp.privateKeyFile}.pub` }, /is a public key/],
      [{ privateKeyFile: server.sftp.knownHosts }, /is no private key/],
      [{ privateKeyFile: '/nowhere/key' }, /can't be read/],
    ] as const) {
      const error = await failure(server.open({ ...options, ...more }))
      assert.ok(hasCode(error, 'STORAGE_DENIED') && !error.retriable, String(error))
      assert.match(error.message, text)
    }
  })

  it('by an agent, named or of SSH_AUTH_SOCK, and tells when there is nothing to log in with', async () => {
    const socket = join(server.sftp.folder, 'agent')
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' })
    const before = process.env.SSH_AUTH_SOCK
    try {
      await chmod(server.sftp.privateKeyFile, 0o600)
      await chown(server.sftp.privateKeyFile, process.getuid?.() ?? 0, -1)
      const add = () => run('ssh-add', [server.sftp.privateKeyFile], { env: { ...process.env, SSH_AUTH_SOCK: socket } })
      for (let tries = 0; tries < 600; tries++) {
        if (
          await add().then(
            () => true,
            () => false,
          )
        )
          break
        await sleep(100)
      }
      await server.open({ ...keyless(options), agent: socket })
      process.env.SSH_AUTH_SOCK = socket
      await server.open(keyless(options))
      delete process.env.SSH_AUTH_SOCK
      assert.match((await failure(server.open(keyless(options)))).message, /nothing to log in with/)
    } finally {
      if (before !== undefined) process.env.SSH_AUTH_SOCK = before
      agent.kill()
      if (agent.exitCode === null && agent.signalCode === null) await once(agent, 'exit')
    }
    const gone = await failure(server.open({ ...keyless(options), agent: socket }))
    assert.ok(hasCode(gone, 'STORAGE_DENIED'), String(gone))
    assert.match(gone.message, /the agent at/)
  })

  it('and tells of a user or password that is refused, without the password', async () => {
    const password = 'secret-shown-nowhere'
    const error = await failure(server.open({ ...keyless(options), username: 'nobody-known', password }))
    assert.ok(hasCode(error, 'STORAGE_DENIED') && !error.retriable, String(error))
    assert.match(error.message, /does not let nobody-known in by storage\.sftp\.password/)
    assert.ok(!JSON.stringify([error, error.message, String(error.cause), error.stack]).includes(password))
  })

  it('and tells of a server that is away, has another protocol, or has no name', async () => {
    const away = await failure(server.open({ ...options, port: await freePort() }))
    assert.ok(hasCode(away, 'STORAGE_UNAVAILABLE') && away.retriable, String(away))
    assert.match(away.message, /nothing listens at 127\.0\.0\.1/)
    assert.match((await failure(server.open({ ...options, host: 'pbmkit.invalid' }))).message, /storage\.sftp\.host/)
    const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const error = await failure(server.open({ ...options, port }))
    other.close()
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE'), String(error))
    assert.match(error.message, /SSH|broke|closed/)
  })
})
