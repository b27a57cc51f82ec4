import { PbmError } from '@pbmkit/core'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Ask } from '../io.js'
import { type Choice, type RestoreChoice, shellLine, wordsOf } from './action-line.js'
import type { Outcome, Question } from './protocol.js'
import { type LineOutcome, runLine } from './run-line.js'
import type { ServerOptions, VisitorOf } from './server-options.js'

const TEXT = { type: 'string', minLength: 1, maxLength: 10_000 }
const FLAG = { type: 'boolean' }
const object = (required: readonly string[], properties: Readonly<Record<string, unknown>>) => ({
  ...{ type: 'object', additionalProperties: false, required },
  properties,
})
const BACKUP = object(['do', 'type'], {
  do: { const: 'backup' },
  type: { enum: ['logical', 'physical'] },
  ...{ ns: TEXT, profile: TEXT, compression: TEXT },
})
const CANCEL = object(['do'], { do: { const: 'cancel' } })
const SCHEDULE = object(['do', 'action', 'name'], {
  do: { const: 'schedule' },
  action: { enum: ['run', 'pause', 'resume'] },
  name: TEXT,
})
const VERIFY = object(['do', 'backup'], { do: { const: 'verify' }, backup: TEXT })
const RESTORE = object(['do'], {
  do: { const: 'restore' },
  ...{ backup: TEXT, time: TEXT, base: TEXT, ns: TEXT },
  ...{ keepExisting: FLAG, withoutUsersAndRoles: FLAG },
})
const CONFIRMED = object(['restore', 'question', 'cluster'], {
  restore: RESTORE,
  question: TEXT,
  cluster: { type: 'string', maxLength: 1000 },
})

/** What the page can have done. Each is a command line; a server that is read-only has none of these. */
export function addActions(app: FastifyInstance, visitorOf: VisitorOf, options: ServerOptions): void {
  const { build, signal, readOnly } = options
  const run = (request: FastifyRequest, words: string[], ask?: Ask) => {
    const { session, ended } = visitorOf(request)
    return runLine(build, session, words, {
      signal: AbortSignal.any([signal, ended]),
      ...(ask === undefined ? {} : { ask }),
    })
  }
  const act = async (request: FastifyRequest, choice: Choice, ask?: Ask) => {
    const outcome = toOutcome(choice, await run(request, wordsOf(choice), ask))
    visitorOf(request).live.expectChange()
    return outcome
  }
  const mayAct = async (request: FastifyRequest) => {
    visitorOf(request)
    if (readOnly) throw new PbmError('WEB_READ_ONLY', 'this page only shows: pbm web runs with --read-only')
  }

  app.register(async (acting) => {
    acting.addHook('preValidation', mayAct)
    acting.post('/api/act', { schema: { body: { oneOf: [BACKUP, CANCEL, SCHEDULE, VERIFY] } } }, (request) =>
      act(request, request.body as Choice),
    )

    // What the restore would ask, word for word, and no more: it is answered with no.
    acting.post('/api/question', { schema: { body: RESTORE } }, async (request): Promise<Outcome<Question>> => {
      const choice = request.body as RestoreChoice
      let question: string | undefined
      let canBePlanned = true
      const { notes, error } = await run(request, wordsOf(choice), async (words, asked) => {
        question = words
        canBePlanned = asked.isPhysical !== true
        return false
      })
      const line = shellLine(wordsOf(choice))
      if (question === undefined) return { line, notes, ...(error === undefined ? {} : { error }) }
      return { line, notes, result: { question, canBePlanned } }
    })

    acting.post('/api/plan', { schema: { body: RESTORE } }, async (request) => {
      const choice = request.body as RestoreChoice
      const [command = 'restore', ...words] = wordsOf(choice)
      return toOutcome(choice, await run(request, [command, '--dry-run', ...words]))
    })

    acting.post('/api/restore', { schema: { body: CONFIRMED } }, async (request) => {
      const { restore, question, cluster } = request.body as {
        restore: RestoreChoice
        question: string
        cluster: string
      }
      const name = await visitorOf(request).session.leaderReplset()
      if (cluster !== name)
        throw new PbmError('WEB_CONFIRM', `nothing was done: the cluster's name is not '${cluster}'`)
      return act(request, restore, async (asked) => {
        // Another backup, or another state of the cluster: that was not agreed to.
        if (asked !== question)
          throw new PbmError('WEB_CHANGED', 'nothing was done: the restore would do something else by now', {
            hint: 'Read what it would do, and confirm again.',
          })
        return true
      })
    })
  })
}

function toOutcome(choice: Choice, { result, error, notes }: LineOutcome): Outcome {
  return {
    ...{ line: shellLine(wordsOf(choice)), notes },
    ...(result === undefined ? {} : { result }),
    ...(error === undefined ? {} : { error }),
  }
}
