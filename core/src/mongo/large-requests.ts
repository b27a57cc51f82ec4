import { createRequire } from 'node:module'
import type { Writable } from 'node:stream'
import { PbmError } from '../errors.js'
import { Sequence } from './document-sequence.js'

interface Message {
  /** Not of the first message of a connection, which is of an older kind. */
  readonly command?: Record<string, unknown>
  /** The whole message, in parts. */
  toBin(): Uint8Array[] | Promise<Uint8Array[]>
  makeSections(parts: Uint8Array[], command: Record<string, unknown>): number
}

interface MessageConnection {
  readonly socket: Writable
  writeCommand(message: Message, options: { readonly agreedCompressor?: string | undefined }): Promise<void>
}

/**
 * The driver joins the documents of an insert three times on their way to the socket. With batches of 4 MiB that is a
 * third of a restore's CPU, most of it in collecting those buffers. Here they go to the socket as they are: whoever sent
 * them must leave them alone until the reply is there, or for good if none comes.
 */
function teachDriver(): void {
  const require = createRequire(import.meta.url)
  const { OpMsgRequest } = require('mongodb/lib/cmap/commands.js') as { OpMsgRequest?: { prototype: Message } }
  const { Connection } = require('mongodb/lib/cmap/connection.js') as { Connection?: { prototype: MessageConnection } }
  const ownSections = OpMsgRequest?.prototype.makeSections
  const ownWrite = Connection?.prototype.writeCommand
  if (OpMsgRequest === undefined || Connection === undefined || ownSections === undefined || ownWrite === undefined) {
    throw new PbmError('DRIVER_UNSUPPORTED', 'This version of the mongodb driver has no OpMsgRequest or Connection', {
      hint: 'install the mongodb version that package.json names',
    })
  }

  OpMsgRequest.prototype.makeSections = function makeSections(parts, command) {
    const rest = { ...command }
    const sequences: Uint8Array[] = []
    for (const [key, value] of Object.entries(command)) {
      if (!(value instanceof Sequence)) continue
      sequences.push(...value.chunks)
      delete rest[key]
    }
    const length = ownSections.call(this, parts, rest)
    parts.push(...sequences)
    return sequences.reduce((sum, part) => sum + part.length, length)
  }

  Connection.prototype.writeCommand = async function writeCommand(message, options) {
    const large = Object.values(message.command ?? {}).some((value) => value instanceof Sequence)
    if (!large || options.agreedCompressor !== 'none') {
      await ownWrite.call(this, message, options)
      return
    }
    // Nobody waits for the socket to drain: there is nothing else to send before the reply, whose reader notices a
    // connection that is lost, aborted or too slow.
    this.socket.cork()
    for (const part of await message.toBin()) this.socket.write(part)
    this.socket.uncork()
  }
}

teachDriver()
