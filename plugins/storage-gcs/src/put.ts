import { type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'

/** Without a byte in either direction (milliseconds). */
const IDLE_MS = 120_000

/**
 * Sends bytes straight from where they are: `fetch` copies them first, which for the chunks of an upload takes thrice the
 * CPU and leaves memory to be collected. Rejects as soon as `signal` aborts. A redirection is an answer like any other.
 */
export async function put(
  url: string,
  headers: OutgoingHttpHeaders,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<Response> {
  const send = url.startsWith('https:') ? tlsRequest : plainRequest
  const request = send(url, { method: 'PUT', headers: { ...headers, 'content-length': bytes.length }, signal })
  try {
    const answer = await answered(request, bytes)
    const body: Buffer[] = []
    for await (const chunk of answer) body.push(chunk as Buffer)
    const range = answer.headers.range
    const init = { status: answer.statusCode ?? 0, ...(range === undefined ? {} : { headers: { range } }) }
    return new Response(Buffer.concat(body), init)
  } finally {
    // Answered before it had all: nobody reads the bytes any more, which may change from now on.
    if (!request.writableFinished) request.destroy()
  }
}

function answered(request: ClientRequest, bytes: Uint8Array): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.once('response', resolve)
    request.setTimeout(IDLE_MS, () => {
      request.destroy(Object.assign(new Error('the server is silent'), { code: 'ETIMEDOUT' }))
    })
    request.end(bytes)
  })
}
