import type { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { type MongoClient, MongoErrorLabel, MongoNetworkError } from 'mongodb'
import { PbmError } from '../errors.js'

/**
 * How long the server may take for an answer while it authenticates a connection. The driver waits for ever, and makes no
 * others meanwhile; what it watches over are connections that are made already.
 */
export const AUTHENTICATION_MS = 20_000

interface WritingConnection extends EventEmitter {
  readonly socket: Pick<Socket, 'timeout' | 'setTimeout'>
  /** Greeted and authenticated. */
  readonly established: boolean
  /** Why it was closed; null as long as it is not. */
  readonly error: Error | null
  writeCommand(message: unknown, options: unknown): Promise<void>
}

/**
 * The driver waits for the socket to take a command, and only hears of errors meanwhile: a connection that is closed
 * without one leaves the command waiting for ever. That is what happens when it is the driver that closes it, and when a
 * server dies: all its sockets are gone at once, but told one by one, and whoever turns to another connection upon the
 * first (the cluster leader's, to write down that the local one failed) meets a socket that is gone and has not said so.
 */
function teachDriver(): void {
  const { Connection } = createRequire(import.meta.url)('mongodb/lib/cmap/connection.js') as {
    Connection?: { prototype: WritingConnection; CLOSE: string }
  }
  const own = Connection?.prototype.writeCommand
  if (Connection === undefined || own === undefined) {
    throw new PbmError('DRIVER_UNSUPPORTED', 'This version of the mongodb driver has no Connection', {
      hint: 'install the mongodb version that package.json names',
    })
  }
  const { CLOSE } = Connection

  Connection.prototype.writeCommand = async function writeCommand(this: WritingConnection, message, options) {
    const closed = Promise.withResolvers<never>()
    const onClose = () => closed.reject(this.error)
    this.once(CLOSE, onClose)
    // The driver takes it back when the answer is there.
    if (!this.established && !this.socket.timeout) this.socket.setTimeout(AUTHENTICATION_MS)
    try {
      await Promise.race([own.call(this, message, options), closed.promise])
    } finally {
      this.off(CLOSE, onClose)
    }
  }
}

teachDriver()

/** Of the system, and in the words of the library that speaks with SOCKS proxies: packets get nowhere. */
const UNREACHABLE =
  /^(ETIMEDOUT|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH)$|Proxy connection timed out|(Host|Network)Unreachable|TTLExpired/

/**
 * Where a server does not answer any more, the driver ends what still waits for it, but only if its watch finds out by not
 * being answered. Whoever fails to make a connection before that has the watch begin anew with a connection of its own:
 * when the server can't be reached for that either, the driver takes the others for good, and they wait until TCP gives up.
 *
 * Any other failure (of a name server, of a server that takes no more connections) tells nothing of those that there are.
 */
export function giveUpUnreachable(client: MongoClient): void {
  client.on('serverHeartbeatFailed', ({ awaited, failure }) => {
    // Awaited is an answer on the connection that the watch has: that one breaking tells nothing of the others.
    if (awaited || !(failure instanceof MongoNetworkError) || !isUnreachable(failure)) return
    failure.addErrorLabel(MongoErrorLabel.InterruptInUseConnections)
  })
}

function isUnreachable(failure: Error): boolean {
  for (let error: unknown = failure; error instanceof Error; error = error.cause) {
    const { code } = error as { readonly code?: unknown }
    if (UNREACHABLE.test(typeof code === 'string' ? code : error.message)) return true
  }
  return false
}
