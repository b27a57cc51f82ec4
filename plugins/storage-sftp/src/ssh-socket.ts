import { connect, type Socket } from 'node:net'
import { largeBufferSocket } from '@pbmkit/core/plugin/kit'

const READ_BYTES = 256 * 1024

export interface SshSocket {
  readonly socket: Socket
  /** From now on every chunk lies in the same memory: ssh2 has copied what it needs of one before the next is read. */
  reuseMemory(): void
}

/**
 * A connection that sends all that is written in one go by one call of the system: ssh2 writes length, content and MAC of
 * each packet one by one, and eight packets for a request of 256 KiB.
 */
export function sshSocket(port: number, host: string): SshSocket {
  // Not before anything is encrypted: until then ssh2 holds views on what it was given.
  let memory: Buffer | undefined
  const socket = largeBufferSocket(
    (onread) => connect({ port, host, onread }),
    () => memory,
  )
  // Not by a class: `connect` puts its own `write` back.
  const write: (chunk: Uint8Array | string) => boolean = socket.write.bind(socket)
  socket.write = (chunk: Uint8Array | string) => {
    if (socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    return write(chunk)
  }
  const reuseMemory = () => {
    memory ??= Buffer.allocUnsafeSlow(READ_BYTES)
  }
  return { socket, reuseMemory }
}
