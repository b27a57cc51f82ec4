import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Clock, errorText, until } from '@pbmkit/core'
import { EndpointAccess } from './access.js'
import type { MetricsSettings } from './settings.js'

/** A scraper needs one connection; whoever opens many gets no more. */
const MOST_CONNECTIONS = 32
const MOST_HEADER_BYTES = 8 * 1024
const HEADERS_MS = 5_000
const REQUEST_MS = 10_000
const KEEP_ALIVE_MS = 60_000
const LISTEN_AGAIN_MS = 10_000
const TEXT = 'text/plain; charset=utf-8'

export interface EndpointOptions {
  readonly settings: MetricsSettings
  readonly clock: Clock
  readonly log: { info(text: string): void; warn(text: string): void }
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  readonly readiness: () => Readonly<Record<string, boolean>>
}

/** `/metrics`, `/healthz` and `/readyz` over HTTP, read-only. */
export class Endpoint {
  readonly #options: EndpointOptions
  readonly #access: EndpointAccess
  readonly #server: Server | SecureServer
  readonly #closing = new AbortController()
  #url = ''

  private constructor(options: EndpointOptions, access: EndpointAccess) {
    this.#options = options
    this.#access = access
    const limits = {
      ...{ maxHeaderSize: MOST_HEADER_BYTES, headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS },
      ...{ keepAliveTimeout: KEEP_ALIVE_MS, connectionsCheckingInterval: HEADERS_MS },
    }
    const answer: RequestListener = (request, response) => void this.#answer(request, response)
    this.#server =
      access.tls === undefined ? createServer(limits, answer) : createSecureServer({ ...limits, ...access.tls }, answer)
    this.#server.maxConnections = MOST_CONNECTIONS
  }

  /**
   * Listens, or tries again and again to: an agent without metrics still makes backups. Rejects with FILE_UNREADABLE or
   * SETTINGS_INVALID for the files of TLS and of users.
   */
  static async open(options: EndpointOptions): Promise<Endpoint> {
    const endpoint = new Endpoint(options, await EndpointAccess.read(options.settings))
    void endpoint.#listen()
    return endpoint
  }

  /** Where it listens; '' while it does not. */
  get url(): string {
    return this.#url
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await new Promise((resolve) => {
      this.#server.close(resolve)
      this.#server.closeAllConnections()
    })
  }

  async #listen(): Promise<void> {
    const { settings, clock, log } = this.#options
    const { host, port } = settings.listen
    const { signal } = this.#closing
    let told = ''
    const listens = () =>
      new Promise<boolean>((resolve) => {
        const onError = (error: Error) => {
          const text = `metrics can't be served at ${host ?? ''}:${port}, which is tried again: ${errorText(error)}`
          if (text !== told) log.warn(text)
          told = text
          resolve(false)
        }
        this.#server
          .once('error', onError)
          .listen({ ...(host !== undefined && { host }), port, exclusive: true }, () => {
            this.#server.off('error', onError)
            resolve(true)
          })
      })
    const isThere = await until(listens, { clock, signal, everyMs: LISTEN_AGAIN_MS }).catch(() => false)
    if (!isThere) return
    this.#server.on('error', (error) => log.warn(`metrics: ${errorText(error)}`))
    const { address, family, port: chosen } = this.#server.address() as AddressInfo
    const scheme = this.#access.tls === undefined ? 'http' : 'https'
    this.#url = `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${chosen}`
    log.info(`metrics are served at ${this.#url}/metrics`)
    if (!/^(127\.|::1$)/.test(address) && !(this.#access.tls !== undefined && this.#access.asks))
      log.warn(
        `others than this machine can reach ${this.#url}: give it a certificate and users (--metrics-tls-cert, --metrics-users)`,
      )
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response)
    } catch (error) {
      this.#options.log.warn(`metrics: ${errorText(error)}`)
      if (!response.headersSent) end(response, 500, 'the metrics could not be put together; see the log of the agent\n')
      else response.destroy()
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Cache-Control', 'no-store')
    response.setHeader('X-Content-Type-Options', 'nosniff')
    if (request.method !== 'GET') {
      response.setHeader('Allow', 'GET')
      return end(response, 405, 'only GET\n', true)
    }
    // Nothing here reads a body, and what is not read would be taken for the next request.
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers
    if (length !== '0' || encoding !== undefined) return end(response, 413, 'no body is taken\n', true)
    const path = request.url?.split('?', 1)[0]
    if (path === '/healthz') return end(response, 200, 'ok\n')
    if (path === '/readyz') return this.#ready(response)
    if (path !== '/metrics') return end(response, 404, 'there are /metrics, /healthz and /readyz\n')
    await this.#refreshAccess()
    if (!this.#access.admits(request.headers.authorization)) {
      response.setHeader('WWW-Authenticate', 'Basic realm="pbm-agent", charset="UTF-8"')
      return end(response, 401, 'user and password are needed\n')
    }
    const { contentType, text } = await this.#options.metrics()
    end(response, 200, text, false, contentType)
  }

  #ready(response: ServerResponse): void {
    const parts = Object.entries(this.#options.readiness())
    const text = parts.map(([part, isWell]) => `${part}: ${isWell ? 'ok' : 'not ok'}\n`).join('')
    end(response, parts.every(([, isWell]) => isWell) ? 200 : 503, text)
  }

  /** Certificates and passwords are changed while an agent runs. */
  async #refreshAccess(): Promise<void> {
    try {
      if (!(await this.#access.refresh())) return
      if (this.#access.tls !== undefined && 'setSecureContext' in this.#server)
        this.#server.setSecureContext(this.#access.tls)
    } catch (error) {
      this.#options.log.warn(`metrics: certificate and users stay as they were: ${errorText(error)}`)
    }
  }
}

function end(response: ServerResponse, status: number, text: string, close = false, contentType = TEXT): void {
  const body = Buffer.from(text)
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': body.length,
    ...(close && { Connection: 'close' }),
  })
  response.end(body)
}
