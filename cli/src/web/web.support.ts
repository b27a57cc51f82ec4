import { once } from 'node:events'
import { type IncomingHttpHeaders, type RequestOptions, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { PassThrough, Readable } from 'node:stream'
import { type Cluster, startCluster } from '../cluster.support.js'
import { main } from '../main.js'

/** `pbm web` in this process. */
export interface Web {
  /** As it was printed. */
  readonly url: string
  /** `http://127.0.0.1:1234`. */
  readonly origin: string
  readonly token: string
  /** As Ctrl-C. Gives the exit code. */
  stop(): Promise<number>
}

/** A cluster with an agent, a storage and `shop.orders`. */
export async function startShop(): Promise<Cluster> {
  const cluster = await startCluster()
  await cluster.startAgent()
  const input = `storage: {type: filesystem, filesystem: {path: ${cluster.folder}/backups}}\n`
  await cluster.pbm(['config', '--file', '-', '--wait'], { input })
  const orders = (await cluster.set.client()).db('shop').collection('orders')
  await orders.insertMany([{ n: 1 }, { n: 2 }])
  return cluster
}

export async function startWeb(uri: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Web> {
  const end = new AbortController()
  const stdout = new PassThrough()
  let errors = ''
  const stderr = new PassThrough()
  stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const io = {
    ...{ stdin: Readable.from([]), stdout, stderr, signal: end.signal },
    env: { PBM_MONGODB_URI: uri, ...env },
  }
  const ended = main(['web', '-o', 'json', ...args], io)
  const told = await Promise.race([
    once(stdout, 'data').then(([chunk]) => String(chunk)),
    ended.then((code) => Promise.reject(new Error(`pbm web ended with ${code}: ${errors}`))),
  ])
  const { url } = JSON.parse(told) as { url: string }
  const { origin, searchParams } = new URL(url)
  return {
    ...{ url, origin, token: searchParams.get('token') ?? '' },
    stop: () => {
      end.abort()
      return ended
    },
  }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON, unless `headers` say otherwise. */
  readonly body?: unknown
  readonly ca?: Buffer
}

/** A request with any headers, also those that `fetch` keeps for itself. */
export async function ask(url: string, { method = 'GET', headers = {}, body, ca }: Ask = {}): Promise<Answer> {
  const content = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  const sent = { ...(content === undefined ? {} : { 'content-type': 'application/json' }), ...headers }
  // Whose name `Host` is, is the server's matter here.
  const tls = ca === undefined ? {} : { ca, checkServerIdentity: () => undefined }
  const options: RequestOptions & { ca?: Buffer } = { method, headers: sent, ...tls }
  const asked = (url.startsWith('https:') ? requestTls : requestPlain)(url, options)
  asked.end(content)
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, headers: response.headers, text }
}

/** Who has logged in: asks as the page does, with its cookie and origin. */
export class Visit {
  readonly #origin: string
  readonly #cookie: string
  readonly #ca: Buffer | undefined

  constructor(origin: string, cookie: string, ca?: Buffer) {
    this.#origin = origin
    this.#cookie = cookie
    this.#ca = ca
  }

  /** With the token of the URL. */
  static async byToken({ url, origin }: Web): Promise<Visit> {
    return new Visit(origin, cookieOf(await ask(url)))
  }

  get headers(): Record<string, string> {
    return { cookie: this.#cookie, origin: this.#origin, 'sec-fetch-site': 'same-origin' }
  }

  async get(path: string): Promise<Answer & { value: unknown }> {
    return this.#ask(path, {})
  }

  async post(path: string, body: object): Promise<Answer & { value: unknown }> {
    return this.#ask(path, { method: 'POST', body })
  }

  /** The next event of the name that satisfies the condition; the stream is left afterwards. */
  async event<Data>(name: string, isIt: (data: Data) => boolean = () => true): Promise<Data> {
    const asked = (this.#ca === undefined ? requestPlain : requestTls)(`${this.#origin}/api/events`, {
      headers: this.headers,
      ...(this.#ca === undefined ? {} : { ca: this.#ca }),
    })
    asked.on('error', () => undefined)
    asked.end()
    const [response] = await once(asked, 'response')
    try {
      let text = ''
      for await (const chunk of response) {
        text += chunk
        const events = text.split('\n\n')
        text = events.pop() ?? ''
        for (const event of events) {
          const [, found, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? []
          if (found !== name || data === undefined) continue
          const value = JSON.parse(data) as Data
          if (isIt(value)) return value
        }
      }
      throw new Error(`the events ended before ${name}`)
    } finally {
      asked.destroy()
    }
  }

  async #ask(path: string, options: Ask): Promise<Answer & { value: unknown }> {
    const ca = this.#ca === undefined ? {} : { ca: this.#ca }
    const answer = await ask(`${this.#origin}${path}`, { ...options, ...ca, headers: this.headers })
    return { ...answer, value: JSON.parse(answer.text) }
  }
}

export function cookieOf({ headers }: Answer): string {
  return headers['set-cookie']?.[0]?.split(';')[0] ?? ''
}
