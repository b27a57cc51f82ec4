import type { FastifyInstance } from 'fastify'
import { named, shellLine } from './action-line.js'
import type { Outcome } from './protocol.js'
import { runLine } from './run-line.js'
import type { ServerOptions, VisitorOf } from './server-options.js'

const NAME = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: { name: { type: 'string', minLength: 1, maxLength: 1000 } },
}
const LOG_QUERY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    severity: { enum: ['F', 'E', 'W', 'I', 'D'] },
    event: { type: 'string', maxLength: 200 },
    node: { type: 'string', maxLength: 500 },
    opid: { type: 'string', maxLength: 100 },
  },
}
/** Of the log, for one look. */
const LINES = '2000'

/** What the page shows of single things, when it is asked for. */
export function addLooks(app: FastifyInstance, visitorOf: VisitorOf, { build, signal }: ServerOptions): void {
  const look = (path: string, schema: object | undefined, wordsOf: (query: Query) => string[], out?: 'text') =>
    app.get(path, schema === undefined ? {} : { schema: { querystring: schema } }, async (request) => {
      const { session, ended } = visitorOf(request)
      const words = wordsOf(request.query as Query)
      const options = { signal: AbortSignal.any([signal, ended]), ...(out === undefined ? {} : { out }) }
      const { result, error, notes } = await runLine(build, session, words, options)
      const outcome: Outcome = {
        ...{ line: shellLine(words), notes },
        ...(result === undefined ? {} : { result }),
        ...(error === undefined ? {} : { error }),
      }
      return outcome
    })
  look('/api/backup', NAME, ({ name }) => ['describe-backup', ...named(name)])
  look('/api/collections', NAME, ({ name }) => ['describe-backup', '--with-collections', ...named(name)])
  look('/api/restore', NAME, ({ name }) => ['describe-restore', ...named(name)])
  look('/api/config', undefined, () => ['config', '--list'], 'text')
  look('/api/log', LOG_QUERY, ({ severity = 'I', ...query }) => [
    ...['logs', `--tail=${LINES}`, `--severity=${severity}`],
    ...(['event', 'node', 'opid'] as const).flatMap((key) => (query[key] ? [`--${key}=${query[key]}`] : [])),
  ])
}

type Query = Readonly<Record<string, string | undefined>>
