import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** What the server does to a request instead of answering it; `undefined` where it behaves. */
export type Fault =
  | 'reset'
  | 'half'
  | 'refuse'
  | 'silent'
  | { readonly status: number; readonly body?: string; readonly date?: Date }
  | undefined

/**
 * The part of Google's JSON API that transfers use, with faults. fake-gcs-server ends an upload when it is asked how much
 * of it is there, and always takes whole chunks: what happens after a broken connection can't be tried on it.
 */
export class FaultServer {
  readonly objects = new Map<string, { bytes: Buffer; generation: number }>()
  readonly requests: string[] = []
  /** Of each request; `''` for none. */
  readonly tokens: string[] = []
  /** Asked for each request that moves bytes. */
  fault: (what: 'chunk' | 'media' | 'read' | 'other') => Fault = () => undefined
  dropped = 0
  #server: Server | undefined
  #session: { name: string; stored: Buffer; absent: boolean } | undefined
  #generation = 0

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve))
  }

  get endpoint(): string {
    const address = this.#server?.address()
    if (typeof address !== 'object' || address === null) throw new Error('the server does not listen')
    return `http://127.0.0.1:${address.port}`
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  put(name: string, bytes: Buffer): void {
    this.objects.set(name, { bytes, generation: ++this.#generation })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.endpoint)
    const range = request.headers['content-range'] ?? request.headers.range ?? ''
    this.requests.push(`${request.method} ${url.pathname} ${range}`.trim())
    this.tokens.push(request.headers.authorization ?? '')
    const body = await gathered(request)
    if (url.pathname === '/session') return this.#chunk(request, response, body, range)
    if (url.pathname.startsWith('/upload/')) return this.#upload(request, response, url, body)
    if (url.searchParams.get('alt') === 'media') return this.#read(request, response, url)
    const fault = this.fault('other')
    if (typeof fault === 'object') return reply(response, fault.status, fault.body, fault.date)
    const name = decodeURIComponent(/\/o\/(.+)$/.exec(url.pathname)?.[1] ?? '')
    if (name === '') return reply(response, 200, '{"items":[]}')
    return this.objects.has(name) ? this.#resource(response, name) : reply(response, 404)
  }

  #upload(request: IncomingMessage, response: ServerResponse, url: URL, body: Buffer): undefined {
    const name = url.searchParams.get('name') ?? ''
    const absent = url.searchParams.get('ifGenerationMatch') === '0'
    if (url.searchParams.get('uploadType') === 'resumable') {
      this.#session = { name, stored: Buffer.alloc(0), absent }
      response.setHeader('location', `${this.endpoint}/session`)
      return reply(response, 200)
    }
    const fault = this.fault('media')
    if (fault === 'reset') return void request.socket.destroy()
    if (typeof fault === 'object') return reply(response, fault.status, fault.body, fault.date)
    this.put(name, body)
    return this.#resource(response, name)
  }

  #chunk(request: IncomingMessage, response: ServerResponse, body: Buffer, range: string): undefined {
    const session = this.#session
    if (request.method === 'DELETE') this.dropped += 1
    if (session === undefined || request.method === 'DELETE') return reply(response, session === undefined ? 404 : 499)
    const [, first, total] = /^bytes (\*|\d+)(?:-\d+)?\/(\*|\d+)$/.exec(range) ?? []
    const fault = body.length === 0 ? undefined : this.fault('chunk')
    if (typeof fault === 'object') return reply(response, fault.status, fault.body, fault.date)
    if (fault === 'silent') return undefined
    if (fault !== 'refuse') {
      if (first !== '*' && Number(first) !== session.stored.length) return reply(response, 400, '{}')
      // As Google does, in multiples of 256 KiB.
      const kept = fault === 'half' ? Math.floor(body.length / 2 / 262_144) * 262_144 : body.length
      session.stored = Buffer.concat([session.stored, body.subarray(0, kept)])
    }
    if (fault === 'reset') return void request.socket.destroy()
    if (total !== '*' && Number(total) === session.stored.length) {
      this.#session = undefined
      if (session.absent && this.objects.has(session.name)) return reply(response, 412, '{"error":{"message":"no"}}')
      this.put(session.name, session.stored)
      return this.#resource(response, session.name)
    }
    if (session.stored.length > 0) response.setHeader('range', `bytes=0-${session.stored.length - 1}`)
    return reply(response, 308)
  }

  #read(request: IncomingMessage, response: ServerResponse, url: URL): undefined {
    const found = this.objects.get(decodeURIComponent(/\/o\/(.+)$/.exec(url.pathname)?.[1] ?? ''))
    const asked = url.searchParams.get('generation')
    if (found === undefined || (asked !== null && Number(asked) !== found.generation)) return reply(response, 404)
    const [, first = '0'] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? []
    const bytes = found.bytes.subarray(Number(first))
    const fault = this.fault('read')
    if (typeof fault === 'object') return reply(response, fault.status, fault.body, fault.date)
    response.setHeader('x-goog-generation', String(found.generation))
    response.setHeader('content-length', bytes.length)
    response.writeHead(Number(first) > 0 ? 206 : 200)
    if (fault !== 'half') return void response.end(bytes)
    response.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () => setTimeout(() => request.socket.destroy(), 20))
    return undefined
  }

  #resource(response: ServerResponse, name: string): undefined {
    const { bytes, generation } = this.objects.get(name) ?? { bytes: Buffer.alloc(0), generation: 0 }
    const resource = { name, size: String(bytes.length), updated: new Date().toISOString(), generation }
    return reply(response, 200, JSON.stringify(resource))
  }
}

function reply(response: ServerResponse, status: number, body = '', date?: Date): undefined {
  if (date !== undefined) response.setHeader('date', date.toUTCString())
  if (body.startsWith('{')) response.setHeader('content-type', 'application/json')
  response.writeHead(status)
  response.end(body)
}

async function gathered(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
