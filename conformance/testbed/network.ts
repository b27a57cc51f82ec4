import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'

/** A network that can be cut: whatever goes through it stands still without a word, as when a cable is pulled. */
export interface CuttableNetwork {
  /** Where to connect: `127.0.0.1:port`. */
  readonly address: string
  /** Options of a connection string whose program speaks to MongoDB through this network alone. */
  readonly uriOptions: string
  /**
   * From now on nothing passes to or from these hosts (`127.0.0.1:port`; without any, all): no data, no end, no refusal.
   * New connections are taken and never answered.
   */
  cut(...hosts: string[]): void
  /** What stood still goes on, as after a while without packets. */
  mend(): void
  /** What stood still is lost, as after a longer while: both ends hear of a broken connection. New ones are made. */
  reset(): void
  stop(): Promise<void>
}

interface Link {
  readonly host: string
  readonly ends: readonly Socket[]
}

/** A network of a machine's own: a SOCKS 5 proxy, which MongoDB's drivers speak (`proxyHost`; needs the package `socks`). */
export function startNetwork(): Promise<CuttableNetwork> {
  return start(async (client) => {
    const destination = await socksDestination(client)
    return { destination, greet: () => client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])) }
  })
}

/** The network in front of one server: connections to its address go to `host`. */
export function startNetworkTo(host: string): Promise<CuttableNetwork> {
  return start(async () => ({ destination: host, greet: () => undefined }))
}

type Route = (client: Socket) => Promise<{ destination: string; greet(): void }>

async function start(route: Route): Promise<CuttableNetwork> {
  const gates = new Gates()
  const links = new Set<Link>()
  const sockets = new Set<Socket>()
  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    // A connection that breaks off is what this is for.
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    return socket
  }
  const open = async (client: Socket) => {
    const { destination, greet } = await route(client)
    const { host, port } = parseHost(destination)
    await gates.passing(destination)
    const server = track(connect({ host, port }))
    await once(server, 'connect')
    greet()
    const link: Link = { host: destination, ends: [client, server] }
    links.add(link)
    const gate = () =>
      new Transform({
        transform: (chunk: Buffer, _encoding, done) => {
          void gates.passing(destination).then(() => done(null, chunk))
        },
        flush: (done) => {
          void gates.passing(destination).then(() => done())
        },
      })
    client.pipe(gate()).pipe(server)
    server.pipe(gate()).pipe(client)
    const close = () => {
      links.delete(link)
      void gates.passing(destination).then(() => {
        for (const end of link.ends) end.destroy()
      })
    }
    for (const end of link.ends) end.once('close', close)
  }
  const listener = createServer((client) => {
    open(track(client)).catch(() => client.destroy())
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    uriOptions: `proxyHost=127.0.0.1&proxyPort=${port}`,
    cut: (...hosts) => gates.cut(hosts),
    mend: () => gates.open(),
    reset: () => {
      for (const { host, ends } of links) if (gates.isCut(host)) for (const end of ends) end.resetAndDestroy()
      gates.open()
    },
    stop: async () => {
      gates.open()
      for (const socket of sockets) socket.destroy()
      listener.close()
      await once(listener, 'close')
    },
  }
}

/** Which hosts are cut off, and who waits for them. */
class Gates {
  #cut: ReadonlySet<string> | 'all' | undefined
  #waiting: (() => void)[] = []

  cut(hosts: readonly string[]): void {
    this.#cut = hosts.length === 0 ? 'all' : new Set(hosts)
  }

  isCut(host: string): boolean {
    return this.#cut === 'all' || this.#cut?.has(host) === true
  }

  open(): void {
    this.#cut = undefined
    for (const go of this.#waiting.splice(0)) go()
  }

  async passing(host: string): Promise<void> {
    while (this.isCut(host)) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

/** The client's side of RFC 1928, without authentication: where it wants to go. */
async function socksDestination(client: Socket): Promise<string> {
  const [, methods = 0] = await read(client, 2)
  await read(client, methods)
  client.write(Buffer.from([5, 0]))
  const [, , , kind] = await read(client, 4)
  let host: string
  if (kind === 1) host = [...(await read(client, 4))].join('.')
  else if (kind === 3) host = (await read(client, (await read(client, 1))[0] ?? 0)).toString()
  else throw new Error('an address that the testbed does not use')
  return `${host}:${(await read(client, 2)).readUInt16BE(0)}`
}

async function read(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(length) as Buffer | null
    if (bytes !== null) return bytes
    if (socket.readableEnded || socket.destroyed) throw new Error('the connection ended')
    await Promise.race([once(socket, 'readable'), once(socket, 'close')])
  }
}

function parseHost(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}
