import assert from 'node:assert/strict'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { BSON, type Document, Int32 } from 'mongodb'
import { pbm } from './run.support.js'

const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013

describe('pbm on a mongos', () => {
  let server: Server
  let uri = ''
  const sockets = new Set<Socket>()

  before(async () => {
    server = createServer((socket) => {
      sockets.add(socket)
      let received = Buffer.alloc(0)
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
        while (received.length >= 4 && received.length >= received.readInt32LE(0)) {
          const length = received.readInt32LE(0)
          socket.write(answer(received.subarray(0, length)))
          received = received.subarray(length)
        }
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    uri = `mongodb://127.0.0.1:${(server.address() as AddressInfo).port}/?connectTimeoutMS=5000`
  })
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  for (const args of [['status'], ['list'], ['backup']]) {
    it(`refuses ${args.join(' ')} with the reason and what to do instead`, async () => {
      const ended = await pbm(args, { env: { PBM_MONGODB_URI: uri } })
      assert.notEqual(ended.code, 0)
      assert.match(ended.stderr, /127\.0\.0\.1:\d+ is a mongos/)
      assert.match(ended.stderr, /Connect to a mongod.*config server/)
    })
  }
})

/** What a mongos says to anything that is asked of it: who it is. */
function answer(message: Buffer): Buffer {
  const request = message.readInt32LE(4)
  const isLegacy = message.readInt32LE(12) === OP_QUERY
  const greeting: Document = {
    ...{ ismaster: true, isWritablePrimary: true, helloOk: true, msg: 'isdbgrid', ok: 1 },
    ...{ maxBsonObjectSize: new Int32(16_777_216), maxMessageSizeBytes: new Int32(48_000_000) },
    ...{ maxWriteBatchSize: new Int32(100_000), minWireVersion: new Int32(0), maxWireVersion: new Int32(21) },
  }
  const body = Buffer.from(BSON.serialize(greeting))
  // Flags, cursor and position of a legacy reply, with the count of documents; else flags and the kind of section.
  const head = isLegacy ? Buffer.alloc(20) : Buffer.alloc(5)
  if (isLegacy) head.writeInt32LE(1, 16)
  const header = Buffer.alloc(16)
  header.writeInt32LE(16 + head.length + body.length, 0)
  header.writeInt32LE(request, 8)
  header.writeInt32LE(isLegacy ? OP_REPLY : OP_MSG, 12)
  return Buffer.concat([header, head, body])
}
