import { Agent as HttpAgent, type AgentOptions as HttpAgentOptions } from 'node:http'
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions } from 'node:https'
import type { OnReadOpts, Socket } from 'node:net'
import { roomySocket } from './roomy-socket.js'

/** Makes the socket at once, whatever its types leave open. */
type Connect = (options: object, done?: unknown) => Socket

/** For large answers over HTTP; see {@link roomySocket}. */
export function roomyHttpAgent(options: HttpAgentOptions): HttpAgent {
  return roomy(new HttpAgent(options))
}

/** For large answers over HTTPS; see {@link roomySocket}. */
export function roomyHttpsAgent(options: HttpsAgentOptions): HttpsAgent {
  return roomy(new HttpsAgent(options))
}

function roomy<A extends HttpAgent>(agent: A): A {
  const connect = agent.createConnection.bind(agent) as Connect
  const createConnection: Connect = (options, done) =>
    roomySocket((onread: OnReadOpts) => connect({ ...options, onread }, done))
  return Object.assign(agent, { createConnection })
}
