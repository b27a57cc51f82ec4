import { connect, type Socket } from 'node:net'

/**
 * A connection that sends all that is written in one go by one call of the system: ssh2 writes length, content and MAC of
 * each packet one by one, and eight packets for a request of 256 KiB.
 */
export function joiningSocket(port: number, host: string): Socket {
  const socket = connect(port, host)
  // Not by a class: `connect` puts its own `write` back.
  const write: (chunk: Uint8Array | string) => boolean = socket.write.bind(socket)
  socket.write = (chunk: Uint8Array | string) => {
    if (socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    return write(chunk)
  }
  return socket
}
