import type { S3Client } from '@aws-sdk/client-s3'

/** What one level tells; the older names of PBM stand for sets of the newer ones (PBM: cli-and-config.md §3.2). */
type Told = 'request' | 'response' | 'retry' | 'signing' | 'failure'

/**
 * Bodies are the data of the database, and are never told. Levels that are not here tell nothing: the SDK has no such
 * events, or warns of deprecated use by itself.
 */
const LEVELS: Readonly<Record<string, readonly Told[]>> = {
  Signing: ['signing'],
  Retries: ['retry'],
  Request: ['request'],
  RequestWithBody: ['request'],
  Response: ['response'],
  ResponseWithBody: ['response'],
  LogDebug: ['request', 'response'],
  HTTPBody: ['request', 'response'],
  RequestRetries: ['retry'],
  RequestErrors: ['failure'],
}

interface Request {
  readonly method: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly query?: Readonly<Record<string, string | string[] | null>>
  readonly headers: Readonly<Record<string, string>>
}

/** Tells of every request what `storage.s3.debugLogLevels` asks for, without keys, signatures and bodies. */
export function tellRequests(client: S3Client, levels: string | undefined, tell: (message: string) => void): void {
  const wanted = new Set((levels ?? '').split(',').flatMap((level) => LEVELS[level.trim()] ?? []))
  if (wanted.size === 0) return
  client.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as Request
      const shown = shownRequest(request)
      const attempt = /attempt=(\d+)/.exec(request.headers['amz-sdk-request'] ?? '')?.[1] ?? '1'
      if (wanted.has('retry') && attempt !== '1') tell(`S3 retry: attempt ${attempt} of ${shown}`)
      if (wanted.has('signing')) tell(`S3 signing: ${shown} ${scopeOf(request)}`)
      if (wanted.has('request')) tell(`S3 request: ${shown} ${request.headers['content-length'] ?? 0} bytes`)
      const began = performance.now()
      const millis = () => `${Math.round(performance.now() - began)} ms`
      try {
        const result = await next(args)
        const { statusCode, headers } = result.response as { statusCode: number; headers: Record<string, string> }
        const answer = `${statusCode} ${headers['content-length'] ?? '?'} bytes ${headers['x-amz-request-id'] ?? ''}`
        if (wanted.has('response')) tell(`S3 response: ${shown} ${answer.trimEnd()} ${millis()}`)
        if (wanted.has('failure') && statusCode >= 400) tell(`S3 failure: ${shown} ${answer.trimEnd()} ${millis()}`)
        return result
      } catch (error) {
        const said = `${(error as Error).name}: ${(error as Error).message.split('\n')[0]}`
        if (wanted.has('response') || wanted.has('failure')) tell(`S3 failure: ${shown} ${said} ${millis()}`)
        throw error
      }
    },
    // Behind the signature, around one request of the network.
    { step: 'deserialize', priority: 'low', name: 'pbmkitDebugLog' },
  )
}

function shownRequest({ method, hostname, port, path, query = {} }: Request): string {
  const asked = Object.entries(query).map(([name, value]) => (value ? `${name}=${String(value)}` : name))
  return `${method} ${hostname}${port === undefined ? '' : `:${port}`}${path}${asked.length === 0 ? '' : `?${asked.join('&')}`}`
}

/** What was signed for, and which headers; neither the access key nor the signature. */
function scopeOf({ headers }: Request): string {
  const { authorization = '' } = headers
  const [, scope = ''] = /Credential=[^/]+\/([^,\s]+)/.exec(authorization) ?? []
  const [, signed = ''] = /SignedHeaders=([^,\s]+)/.exec(authorization) ?? []
  return scope === '' ? 'is not signed' : `for ${scope} with ${signed}`
}
