import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A server that fails as told: what a real one can't be brought to on demand. */
export class FaultServer {
  answer: Answer = listing
  /** Method and path of what was asked, in order. */
  readonly asked: string[] = []
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      this.asked.push(`${request.method} ${request.url}`)
      request.resume()
      // A server that answers before it has heard all breaks the connection of the client.
      if (request.method === 'GET' || request.method === 'HEAD') this.answer(request, response)
      else request.on('end', () => this.answer(request, response))
    })
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** An empty bucket. */
export const listing: Answer = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/xml' })
  response.end('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>')
}

/** An error as S3 gives it. */
export function refusal(status: number, code: string, more = '', headers: Record<string, string> = {}): Answer {
  return (request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml', ...headers })
    response.end(
      request.method === 'HEAD' ? '' : `<Error><Code>${code}</Code><Message>${code} it is</Message>${more}</Error>`,
    )
  }
}
