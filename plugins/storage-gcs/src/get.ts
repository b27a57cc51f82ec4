import { type IncomingMessage, type OutgoingHttpHeaders, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { largeBufferHttpAgent, largeBufferHttpsAgent } from '@pbmkit/core/plugin/kit'
import { failureOf } from './errors.js'

/** Without a byte (milliseconds). */
const IDLE_MS = 120_000

const plainAgent = largeBufferHttpAgent({ keepAlive: true })
const tlsAgent = largeBufferHttpsAgent({ keepAlive: true })

/**
 * Asks for bytes: `fetch` takes twice the CPU for those of a large object. Any answer but success rejects with
 * {@link HttpFailure}, redirections too. An error of a body that nobody reads comes again from the next read.
 */
export async function get(url: string, headers: OutgoingHttpHeaders, signal: AbortSignal): Promise<IncomingMessage> {
  const isTls = url.startsWith('https:')
  const send = isTls ? tlsRequest : plainRequest
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = send(url, { headers, signal, agent: isTls ? tlsAgent : plainAgent })
    request.on('error', reject)
    request.once('response', resolve)
    request.setTimeout(IDLE_MS, () => {
      request.destroy(Object.assign(new Error('the server is silent'), { code: 'ETIMEDOUT' }))
    })
    request.end()
  })
  answer.on('error', () => undefined)
  const status = answer.statusCode ?? 0
  if (status >= 200 && status < 300) return answer
  const text: Buffer[] = []
  for await (const chunk of answer) text.push(chunk as Buffer)
  const { date } = answer.headers
  throw await failureOf(new Response(Buffer.concat(text), { status, headers: date === undefined ? {} : { date } }))
}
