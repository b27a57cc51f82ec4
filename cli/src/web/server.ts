import type { AddressInfo } from 'node:net'
import { PbmError } from '@pbmkit/core'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { codeOf, errorReport } from '../errors.js'
import { cookieOf, endedCookie, foreignFault, HEADERS, sessionCookie } from './access.js'
import { addActions } from './actions.js'
import { addLooks } from './looks.js'
import { pageMarkup } from './page-files.js'
import type { Visit } from './protocol.js'
import { sendEvents } from './server-events.js'
import type { ServerOptions, VisitorOf } from './server-options.js'
import { UserVisitors } from './visitors.js'

/** A log-in, and any choice of the page, is far below that. */
const BODY_BYTES = 64 * 1024
/** Headers and body have to be there by then. */
const REQUEST_MS = 20_000
/** A page holds one, and a browser opens six at most. */
const MOST_CONNECTIONS = 500

/** The page and what it asks for. Nothing is told before the host, the origin and the session of a request are right. */
export function webServer(options: ServerOptions): FastifyInstance {
  const { tls, visitors, isHost, files, readOnly, version } = options
  const app = fastify({
    ...(tls === undefined ? {} : { https: tls }),
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: true,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  }) as FastifyInstance
  const scheme = tls === undefined ? 'http' : 'https'
  const isSecure = tls !== undefined
  // Cookies know no ports: two pages at one host must not log each other out.
  const cookieName = ({ socket }: FastifyRequest) => `pbm-web-${socket.localPort ?? 0}`
  const own = (request: FastifyRequest, isPerson = true) =>
    visitors.find(cookieOf(request.headers, cookieName(request)), isPerson)
  const visitorOf: VisitorOf = (request) => {
    const visitor = own(request)
    if (visitor === undefined) throw new PbmError('WEB_LOGIN', 'not logged in')
    return visitor
  }
  app.server.maxConnections = MOST_CONNECTIONS
  // A form of another site can send this type without being asked by the browser first.
  app.removeContentTypeParser('text/plain')

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS)
    const fault = foreignFault(request, scheme, isHost)
    if (fault !== undefined) throw new PbmError('WEB_FOREIGN', `the request is refused: ${fault}`)
  })
  app.setErrorHandler((error, _request, reply) => tell(error, reply))
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ Error: 'there is no such page', code: 'ERROR' }))

  app.get('/', async (request, reply) => {
    const { token } = request.query as { token?: unknown }
    reply.type('text/html; charset=utf-8')
    if (visitors instanceof UserVisitors || own(request) !== undefined) return pageMarkup()
    const cookie = typeof token === 'string' ? visitors.enter(token) : undefined
    if (cookie === undefined) return reply.code(401).send(pageMarkup('Open the address that pbm web printed.'))
    reply.header('set-cookie', sessionCookie(cookieName(request), cookie, { isSecure }))
    return pageMarkup()
  })
  for (const { path, type, content } of files) app.get(path, async (_request, reply) => reply.type(type).send(content))

  app.get('/api/visit', async (request): Promise<Visit> => {
    const { session, user } = visitorOf(request)
    const cluster = await session.leaderReplset()
    return { cluster, version, readOnly, ...(user === undefined ? {} : { user }) }
  })
  app.get('/api/events', (request, reply) => {
    // The page connects again by itself: no sign that somebody is there.
    const visitor = own(request, false)
    if (visitor === undefined) throw new PbmError('WEB_LOGIN', 'not logged in')
    reply.hijack()
    sendEvents(visitor, reply.raw, { ...HEADERS })
  })
  if (visitors instanceof UserVisitors) {
    app.post('/api/login', { schema: { body: LOGIN } }, async (request, reply) => {
      const { user, password } = request.body as { user: string; password: string }
      await visitors.leave(cookieOf(request.headers, cookieName(request)))
      const cookie = await visitors.enter(user, password, request.ip)
      reply.header('set-cookie', sessionCookie(cookieName(request), cookie, { isSecure }))
      return {}
    })
    app.post('/api/logout', async (request, reply) => {
      await visitors.leave(cookieOf(request.headers, cookieName(request)))
      reply.header('set-cookie', endedCookie(cookieName(request), { isSecure }))
      return {}
    })
  }
  addLooks(app, visitorOf, options)
  addActions(app, visitorOf, options)
  return app
}

/** The port that it listens at. */
export function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}

const LOGIN = {
  type: 'object',
  required: ['user', 'password'],
  additionalProperties: false,
  properties: { user: { type: 'string', maxLength: 1000 }, password: { type: 'string', maxLength: 1000 } },
}

const STATUS: Readonly<Record<string, number>> = {
  WEB_LOGIN: 401,
  UNAUTHORIZED: 403,
  WEB_FOREIGN: 403,
  WEB_READ_ONLY: 403,
  WEB_CHANGED: 409,
  WEB_CONFIRM: 409,
  WEB_LOGINS: 429,
  WEB_DATABASE: 502,
}

function tell(error: unknown, reply: FastifyReply): FastifyReply {
  const { statusCode } = error as { statusCode?: unknown }
  const status = STATUS[codeOf(error)] ?? (typeof statusCode === 'number' ? statusCode : 500)
  return reply.code(status).send(errorReport(error))
}
