import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inTime } from '../time/deadline.js'
import { AUTHENTICATION_MS } from './lost-connections.js'

interface DriverConnection {
  established: boolean
  onError(error: Error): void
  command(namespace: unknown, command: object, options: object): Promise<unknown>
}
const require = createRequire(import.meta.url)
const { Connection } = require('mongodb/lib/cmap/connection.js') as {
  Connection: new (socket: Socket, options: object) => DriverConnection
}
const { ns } = require('mongodb/lib/utils.js') as { ns(name: string): unknown }

/** More than a socket takes that nobody reads from. */
const MUCH = 'x'.repeat(16 * 1024 * 1024)

describe('commands on connections that are lost', () => {
  let server: Server
  let socket: Socket
  let peer: Socket
  let connection: DriverConnection
  beforeEach(async () => {
    server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    ;[[peer]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [[Socket], unknown]
    peer.on('error', () => undefined)
    connection = new Connection(socket, { id: 1, generation: 0, monitorCommands: false })
  })
  afterEach(async () => {
    socket.destroy()
    peer.destroy()
    server.close()
    await once(server, 'close')
  })

  const send = (text = '') => {
    const late = () => new Error('the command is still waiting')
    return inTime(connection.command(ns('admin.$cmd'), { ping: 1, text }, {}), 5_000, late)
  }

  it('end where the socket is gone and has not said so', async () => {
    socket.destroy()
    await assert.rejects(send(), /closed/)
  })

  it('end where the driver closes it while they are written', async () => {
    const sent = send(MUCH)
    setImmediate(() => connection.onError(new Error('interrupted')))
    await assert.rejects(sent, /interrupted/)
  })

  it('end where the server goes silent while it authenticates', async () => {
    const sent = send()
    await nextTurn()
    assert.equal(socket.timeout, AUTHENTICATION_MS)
    socket.emit('timeout')
    await assert.rejects(sent, /timed out/)
  })

  it('may take any time once that is done', async () => {
    connection.established = true
    const sent = send()
    await nextTurn()
    assert.ok(!socket.timeout)
    socket.destroy()
    await assert.rejects(sent, /closed/)
  })

  it('end where the server closes it while they are written', async () => {
    const sent = send(MUCH)
    setImmediate(() => peer.destroy())
    await assert.rejects(sent, /closed|ECONNRESET|EPIPE/)
  })
})
