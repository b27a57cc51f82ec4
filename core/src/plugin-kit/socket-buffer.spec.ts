import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { largeBufferSocket } from './socket-buffer.js'
import { largeBufferHttpAgent } from './socket-buffer-agents.js'

const MIB = 1024 * 1024

async function listening(server: { listen(port: number, host: string): unknown } & Pick<Server, 'address' | 'once'>) {
  server.listen(0, '127.0.0.1')
  await once(server as Server, 'listening')
  return (server.address() as AddressInfo).port
}

function hashOf(chunks: readonly Buffer[]): string {
  const hash = createHash('sha256')
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

describe('a roomy socket', () => {
  it('gives all bytes in order, and none of them is overwritten later', async () => {
    const sent = randomBytes(5 * MIB)
    const server = createTcpServer(async (peer) => {
      for (let at = 0; at < sent.length; ) {
        const end = at + 1 + ((at * 7919) % 300_000)
        if (!peer.write(sent.subarray(at, end))) await once(peer, 'drain')
        at = end
      }
      peer.end()
    })
    const port = await listening(server as unknown as Server)
    const socket = largeBufferSocket((onread) => connect({ port, host: '127.0.0.1', onread }))
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(socket, 'close')
    server.close()
    assert.ok(Buffer.concat(chunks).equals(sent))
    const slabs = new Set(chunks.map(({ buffer }) => buffer))
    assert.ok(slabs.size < 5 * 16, `${slabs.size} slabs`)
  })

  it('reads into the same memory again where it is told to', async () => {
    const server = createTcpServer((peer) => peer.end(randomBytes(3 * MIB)))
    const port = await listening(server as unknown as Server)
    const memory = Buffer.alloc(4096)
    const socket: Socket = largeBufferSocket(
      (onread) => connect({ port, host: '127.0.0.1', onread }),
      () => memory,
    )
    let held = 0
    socket.on('data', (chunk: Buffer) => {
      assert.equal(chunk.buffer, memory.buffer)
      held += chunk.length
    })
    await once(socket, 'close')
    server.close()
    assert.equal(held, 3 * MIB)
  })
})

describe('a roomy agent', () => {
  for (const [when, begins] of [
    ['before the answer', false],
    ['in the middle of it', true],
  ] as const) {
    it(`breaks a connection on which nothing moves ${when}`, async () => {
      const server = createServer((_, response) => {
        if (begins) response.writeHead(200, { 'content-length': 10 }).write('some')
      })
      const port = await listening(server)
      const agent = largeBufferHttpAgent({ keepAlive: true, timeout: 100 })
      const asking = get({ port, host: '127.0.0.1', agent })
      // Of a request that has its answer already, too.
      asking.on('error', () => undefined)
      const reading = async () => {
        const [answer] = await once(asking, 'response')
        for await (const _ of answer as IncomingMessage);
      }
      await assert.rejects(reading(), { code: begins ? 'ECONNRESET' : 'ETIMEDOUT' })
      agent.destroy()
      server.closeAllConnections()
      server.close()
    })
  }

  it('gives bytes that stay as they are, though all connections are read into the same memory', async () => {
    const bodies = [randomBytes(5 * MIB), randomBytes(5 * MIB)]
    const server = createServer((request, response) => {
      response.end(bodies[request.url === '/1' ? 1 : 0])
    })
    const port = await listening(server)
    const agent = largeBufferHttpAgent({ keepAlive: true })
    const received = await Promise.all(
      bodies.map(async (_, index) => {
        const [answer] = await once(get({ port, host: '127.0.0.1', path: `/${index}`, agent }), 'response')
        const chunks: Buffer[] = []
        for await (const chunk of answer as IncomingMessage) chunks.push(chunk as Buffer)
        return chunks
      }),
    )
    agent.destroy()
    server.close()
    for (const [index, chunks] of received.entries()) {
      assert.ok(chunks.length > 1)
      assert.ok(Buffer.concat(chunks).equals(bodies[index] ?? Buffer.alloc(0)))
    }
  })

  it('waits for a slow reader, uses a connection again, and sees one that breaks', async () => {
    const block = randomBytes(MIB)
    const blocks = 128
    const whole = hashOf(Array.from({ length: blocks }, () => block))
    let connections = 0
    let given = 0
    const server = createServer(async (request, response) => {
      response.setHeader('content-length', blocks * MIB)
      for (let at = 0; at < blocks; at++) {
        if (request.url === '/break' && at > 3) return response.socket?.destroy()
        given = at
        if (!response.write(block)) await once(response, 'drain')
      }
      return response.end()
    })
    server.on('connection', () => connections++)
    const port = await listening(server)
    const agent = largeBufferHttpAgent({ keepAlive: true })
    const ask = async (path: string) => {
      const [answer] = await once(get({ port, host: '127.0.0.1', path, agent }), 'response')
      return answer as IncomingMessage
    }
    for (let round = 0; round < 2; round++) {
      const hash = createHash('sha256')
      let chunks = 0
      for await (const chunk of await ask('/')) {
        if (chunks++ === 0) {
          // What the kernels hold is far less than half of it. As long as the server gets on, what it sends is read by somebody.
          for (let before = -1; before < given; await new Promise((resolve) => setTimeout(resolve, 100))) before = given
          assert.ok(given < blocks / 2, `${given} MiB were taken from the server, and one chunk from us`)
        }
        hash.update(chunk as Buffer)
      }
      assert.equal(hash.digest('hex'), whole)
    }
    assert.equal(connections, 1)
    await assert.rejects(async () => {
      for await (const _ of await ask('/break'));
    }, /aborted/)
    agent.destroy()
    server.close()
  })
})
