import type { OnReadOpts, Socket } from 'node:net'

/** Of memory that a socket fills with chunk after chunk. Of larger ones more waits for the collector. */
const SLAB_BYTES = 128 * 1024
/** The least that is offered for a read: where there is less, another slab is begun. */
const LEAST_BYTES = 64 * 1024

/**
 * A socket whose bytes lie in slabs of 128 KiB. By itself Node.js allocates 64 KiB for each read, however little comes, of
 * which most is given back: for a large object that takes longer than to receive it. `connect` makes the socket, of TCP
 * or TLS, with this `onread`; it emits `data` as usual. Where `reused` gives memory, that is taken instead, again and
 * again: every listener has to copy what it keeps.
 */
export function largeBufferSocket<S extends Socket>(
  connect: (onread: OnReadOpts) => S,
  reused: () => Buffer | undefined = () => undefined,
): S {
  let slab = Buffer.alloc(0)
  let used = 0
  const room = () => {
    if (slab.length - used < LEAST_BYTES) {
      slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      used = 0
    }
    return slab.subarray(used)
  }
  const socket = connect({
    buffer: () => reused() ?? room(),
    callback: (bytes, buffer) => {
      if (buffer.buffer === slab.buffer) used += bytes
      socket.emit('data', buffer.subarray(0, bytes))
      return true
    },
  })
  return socket
}
