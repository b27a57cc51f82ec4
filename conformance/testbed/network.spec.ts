import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CuttableNetwork, startNetwork, startNetworkTo } from './network.js'

/** Answers each line with itself. */
async function startEcho(): Promise<Server> {
  const echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket))
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  return echo
}

describe('a network that can be cut', () => {
  let echo: Server
  let network: CuttableNetwork
  let sockets: Socket[] = []
  const address = () => `127.0.0.1:${(echo.address() as AddressInfo).port}`

  before(async () => {
    echo = await startEcho()
  })
  after(() => {
    echo.close()
  })
  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    sockets = []
    await network.stop()
  })

  async function dial(): Promise<Socket> {
    const { port } = new URL(`tcp://${network.address}`)
    const socket = connect({ host: '127.0.0.1', port: Number(port) })
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }

  async function asked(socket: Socket, text: string): Promise<string> {
    socket.write(text)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    return answer.toString()
  }

  /** Nothing comes for a while. */
  async function silent(socket: Socket, text: string): Promise<void> {
    let heard = ''
    const hear = (name: string) => () => {
      heard = name
    }
    socket.on('data', hear('data')).once('close', hear('close'))
    socket.write(text)
    await sleep(100)
    assert.equal(heard, '')
    socket.removeAllListeners('data').removeAllListeners('close')
    socket.pause()
  }

  it('passes all both ways until it is cut, and goes on where it stood', async () => {
    network = await startNetworkTo(address())
    const socket = await dial()
    assert.equal(await asked(socket, 'one'), 'one')
    network.cut(address())
    await silent(socket, 'two')
    const later = await dial()
    await silent(later, 'three')
    const answers = [socket, later].map(async (one) => {
      one.resume()
      return String((await once(one, 'data'))[0])
    })
    network.mend()
    assert.deepEqual(await Promise.all(answers), ['two', 'three'])
  })

  it('breaks what stood still', async () => {
    network = await startNetworkTo(address())
    const socket = await dial()
    assert.equal(await asked(socket, 'one'), 'one')
    network.cut()
    await silent(socket, 'two')
    const broken = assert.rejects(once(socket, 'close'), { code: 'ECONNRESET' })
    network.reset()
    await broken
    assert.equal(await asked(await dial(), 'three'), 'three')
  })

  it('is a SOCKS proxy too, and cuts off single hosts', async () => {
    network = await startNetwork()
    const other = await startEcho()
    const ports = [echo, other].map((server) => (server.address() as AddressInfo).port)
    const [near, far] = await Promise.all(
      ports.map(async (port) => {
        const socket = await dial()
        assert.deepEqual(Buffer.from(await asked(socket, '\x05\x01\x00'), 'latin1'), Buffer.from([5, 0]))
        socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]))
        const [granted] = (await once(socket, 'data')) as [Buffer]
        assert.equal(granted[1], 0)
        return socket
      }),
    )
    assert.ok(near && far)
    network.cut(`127.0.0.1:${ports[1]}`)
    assert.equal(await asked(near, 'near'), 'near')
    await silent(far, 'far')
    other.close()
  })
})
