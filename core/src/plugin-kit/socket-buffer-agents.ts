import { Agent as HttpAgent, type AgentOptions as HttpAgentOptions } from 'node:http'
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions } from 'node:https'
import type { OnReadOpts, Socket } from 'node:net'
import { largeBufferSocket } from './socket-buffer.js'

/** Of the memory that sockets are read into. */
const READ_BYTES = 512 * 1024

/** `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, which Node.js heeds from 22.21 and 24.5 on. */
const PROXIES = { proxyEnv: process.env }

let memory: Buffer | undefined

/** Makes the socket at once, whatever its types leave open. */
type Connect = (options: object, done?: unknown) => Socket

/**
 * For large answers over HTTP; see {@link largeBufferSocket}. All sockets are read into the same memory, which stays in the
 * processor's cache: the parser copies what it gives, before anything else is read. With a `timeout` (milliseconds) a
 * connection breaks (ETIMEDOUT) when no byte has moved on it for so long; Node's own agents only tell it to the request.
 */
export function largeBufferHttpAgent(options: HttpAgentOptions): HttpAgent {
  return roomy(new HttpAgent({ ...PROXIES, ...options }), options.timeout)
}

/** As {@link largeBufferHttpAgent}, over TLS. */
export function largeBufferHttpsAgent(options: HttpsAgentOptions): HttpsAgent {
  return roomy(new HttpsAgent({ ...PROXIES, ...options }), options.timeout)
}

function roomy<A extends HttpAgent>(agent: A, timeout: number | undefined): A {
  const connect = agent.createConnection.bind(agent) as Connect
  const createConnection: Connect = (options, done) => {
    const socket = largeBufferSocket((onread: OnReadOpts) => connect({ ...options, onread }, done), shared)
    const breakOff = () =>
      socket.destroy(Object.assign(new Error('no byte came or went for too long'), { code: 'ETIMEDOUT' }))
    if (timeout !== undefined) socket.on('timeout', breakOff)
    return socket
  }
  return Object.assign(agent, { createConnection })
}

function shared(): Buffer {
  memory ??= Buffer.allocUnsafeSlow(READ_BYTES)
  return memory
}
