import { createRequire } from 'node:module'
import type { Duplex, TransformCallback } from 'node:stream'
import { PbmError } from '../errors.js'

/** Of a reply this large, chunks go straight to their place; smaller ones are the driver's own business. */
const LARGE_BYTES = 256 * 1024
/** No server sends more (`maxMessageSizeBytes` is 48 MB): such a length is a broken stream, which the driver judges. */
const LARGEST_BYTES = 64 * 1024 * 1024

/** What is used of the driver's internal stream that cuts a socket's bytes into messages. */
interface MessageStream extends Duplex {
  readonly bufferPool: { readonly length: number }
  readonly connection: { delayedTimeoutId: NodeJS.Timeout | null }
  _transform(chunk: Buffer, encoding: BufferEncoding, callback: TransformCallback): void
}

interface PartialMessage {
  readonly bytes: Buffer
  received: number
}

/**
 * The driver keeps all chunks of a reply, 64 KiB each, until it is whole, and joins them then. With batches of 4 MiB that
 * is twice the memory, and every 20 MB or so of such buffers cost a full garbage collection: a third of a dump's CPU.
 * Here a chunk is copied to its place at once, and its memory given back without any collector (`transfer(0)`).
 */
function teachDriver(): void {
  const { SizedMessageTransform } = createRequire(import.meta.url)('mongodb/lib/cmap/connection.js') as {
    SizedMessageTransform?: { prototype: MessageStream }
  }
  const own = SizedMessageTransform?.prototype._transform
  if (SizedMessageTransform === undefined || typeof own !== 'function') {
    throw new PbmError('DRIVER_UNSUPPORTED', 'This version of the mongodb driver has no SizedMessageTransform', {
      hint: 'install the mongodb version that package.json names',
    })
  }
  const partial = new WeakMap<MessageStream, PartialMessage>()

  SizedMessageTransform.prototype._transform = function transform(this: MessageStream, chunk, encoding, callback) {
    const message = partial.get(this) ?? begin(this, chunk)
    if (message === undefined) {
      own.call(this, chunk, encoding, callback)
      return
    }
    // As the driver does it: bytes have come, so the socket has not timed out.
    clearTimeout(this.connection.delayedTimeoutId ?? undefined)
    this.connection.delayedTimeoutId = null
    const used = Math.min(chunk.length, message.bytes.length - message.received)
    message.bytes.set(used === chunk.length ? chunk : chunk.subarray(0, used), message.received)
    message.received += used
    const whole = message.received === message.bytes.length
    if (whole) {
      partial.delete(this)
      this.push(message.bytes)
    } else {
      partial.set(this, message)
    }
    if (used < chunk.length) {
      own.call(this, chunk.subarray(used), encoding, callback)
      return
    }
    release(chunk)
    callback()
  }
}

/** A large message, if one begins with `chunk`. */
function begin(stream: MessageStream, chunk: Buffer): PartialMessage | undefined {
  if (stream.bufferPool.length > 0 || chunk.length < 4) return undefined
  const length = chunk.readInt32LE(0)
  if (length < LARGE_BYTES || length > LARGEST_BYTES || length <= chunk.length) return undefined
  return { bytes: Buffer.allocUnsafeSlow(length), received: 0 }
}

/** Frees a chunk that nobody reads any more, where it has its memory for itself. */
function release(chunk: Buffer): void {
  if (chunk.buffer.byteLength === chunk.length && chunk.buffer instanceof ArrayBuffer) chunk.buffer.transfer(0)
}

teachDriver()
