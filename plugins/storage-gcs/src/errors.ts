import { PluginError, type StorageErrorCode } from '@pbmkit/core/plugin'

/** Where and at what a request failed, as people call it. */
export interface Scene {
  /** `writing gs://bucket/prefix/name`. */
  readonly doing: string
  readonly bucket: string
  /** URL of the server. */
  readonly endpoint: string
}

/** An answer that is none of success. */
export class HttpFailure extends Error {
  readonly status: number
  /** What Google calls it: `notFound`, `rateLimitExceeded` …; `''` where it does not say. */
  readonly reason: string
  /** The `Date` header of the answer, `''` where it has none. */
  readonly date: string

  constructor(status: number, reason: string, message: string, date = '') {
    super(message)
    this.name = 'HttpFailure'
    this.status = status
    this.reason = reason
    this.date = date
  }
}

/** Reads the error out of an answer, which it drains. */
export async function failureOf(response: Response): Promise<HttpFailure> {
  const body = (await response.text().catch(() => '')).slice(0, 10_000)
  const date = response.headers.get('date') ?? ''
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown; errors?: { reason?: unknown }[] } }
    const reason = error?.errors?.[0]?.reason
    if (error !== undefined) return new HttpFailure(response.status, textOf(reason), textOf(error.message), date)
  } catch {
    // The XML of a proxy, or nothing at all.
  }
  const message = /<Message>([^<]*)</.exec(body)?.[1] ?? (body.startsWith('<') ? '' : firstLine(body))
  return new HttpFailure(response.status, /<Code>([^<]*)</.exec(body)?.[1] ?? '', message, date)
}

export function statusOf(error: unknown): number {
  const { status, code, response } = (error ?? {}) as {
    status?: unknown
    code?: unknown
    response?: { status?: unknown; statusCode?: unknown }
  }
  for (const each of [status, code, response?.status, response?.statusCode]) {
    const number = Number(each)
    if (Number.isInteger(number) && number >= 100 && number < 600) return number
  }
  return 0
}

function reasonOf(error: unknown): string {
  if (error instanceof HttpFailure) return error.reason
  return textOf((error as { errors?: { reason?: unknown }[] } | null)?.errors?.[0]?.reason)
}

/** How far the clock of the server is from ours (milliseconds); 0 where it does not tell. */
function skewOf(error: unknown): number {
  const { response } = (error ?? {}) as { response?: { headers?: Headers | Readonly<Record<string, unknown>> } }
  const headers = response?.headers
  const date =
    error instanceof HttpFailure ? error.date : headers instanceof Headers ? headers.get('date') : headers?.date
  const answered = Date.parse(textOf(date))
  return Number.isNaN(answered) ? 0 : Math.abs(answered - Date.now())
}

/** The code of the system or of TLS, however deep. */
function systemCodeOf(error: unknown): string {
  for (let each = error, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth++) {
    const { code, errors } = each as { code?: unknown; errors?: unknown[] }
    if (typeof code === 'string' && /^(E[A-Z]+|UND_ERR_\w+|ERR_\w+|CERT_\w+|\w+_CERT\w*|UNABLE_TO_\w+)$/.test(code))
      return code
    const inner = Array.isArray(errors) ? systemCodeOf(errors[0]) : ''
    if (inner !== '') return inner
  }
  return ''
}

type Told = readonly [code: StorageErrorCode, text: string, retriable?: boolean]

/** What GCS, its library, the network or TLS said, as an error of a storage. */
export function translated(error: unknown, scene: Scene): PluginError {
  if (error instanceof Error && /^STORAGE_/.test(textOf((error as { code?: unknown }).code)))
    return error as PluginError
  const known = error instanceof Error ? error : new Error(String(error))
  const [code, text, retriable = false] =
    ofCredentials(known, statusOf(error)) ??
    ofStatus(statusOf(error), reasonOf(error), known, scene) ??
    ofNetwork(known, scene)
  return new PluginError(code, `${scene.doing}: ${text}`, { cause: trimmed(known), retriable })
}

const KEYS = 'storage.gcs.credentials'
/** Beyond that the times of a token are out of a reasonable frame (milliseconds). */
const MOST_SKEW_MS = 5 * 60_000

/** What the token service of Google or the search for credentials says. */
function ofCredentials(error: Error, status: number): Told | undefined {
  const { message } = error
  // Other answers are those of the storage, whose messages have names of objects in them.
  if (![0, 400, 401].includes(status)) return undefined
  if (/short-lived token|\biat\b|\bexp(iry)? .*(future|past)|reasonable timeframe/i.test(message))
    return [
      'STORAGE_DENIED',
      `Google finds the time of the request wrong; here it is ${new Date().toISOString()}: set the clock (NTP)`,
    ]
  // So the exchange of a token of another identity for one of Google's begins its errors.
  if (/^Error code \w+/.test(message))
    return [
      'STORAGE_DENIED',
      `Google does not take the identity of this machine (${firstLine(message)}); renew its token, or mend its workload identity`,
    ]
  if (/invalid_grant.*account not found|Invalid grant: account not found/i.test(message))
    return ['STORAGE_DENIED', `Google knows no such service account; check ${KEYS}.clientEmail`]
  if (/invalid_grant|Invalid JWT Signature/i.test(message))
    return [
      'STORAGE_DENIED',
      `the private key is not, or no longer, one of the service account; check ${KEYS}.privateKey and clientEmail`,
    ]
  if (/default credentials/i.test(message))
    return [
      'STORAGE_DENIED',
      `this machine has no identity of Google's; set ${KEYS}.clientEmail and privateKey, or mend its workload identity`,
    ]
  if (/DECODER routines|PEM routines|asn1/i.test(message))
    return [
      'STORAGE_DENIED',
      `${KEYS}.privateKey is no private key; copy the whole private_key of the key file, from -----BEGIN to -----END`,
    ]
  return undefined
}

function ofStatus(status: number, reason: string, error: Error, { bucket, endpoint }: Scene): Told | undefined {
  const said = firstLine(error.message)
  if (status === 0) return undefined
  if (/rateLimit|SlowDown/i.test(reason) || [408, 429].includes(status) || status >= 500) {
    return ['STORAGE_UNAVAILABLE', `the server can't now: ${said} (HTTP ${status})`, true]
  }
  if (/quota|storageFull/i.test(reason) || status === 507)
    return [
      'STORAGE_NO_SPACE',
      `the quota of ${bucket} or its project is used up (${said}); raise it, or free some space`,
    ]
  // A token that we signed ourselves is refused so without a reason when its times are wrong.
  if (status === 401 && skewOf(error) > MOST_SKEW_MS)
    return [
      'STORAGE_DENIED',
      `the clocks of this machine and of the server differ too much; here it is ${new Date().toISOString()}: set the clock (NTP)`,
    ]
  if (status === 401) return ['STORAGE_DENIED', `the server does not take the credentials (${said}); check ${KEYS}`]
  if (status === 403) {
    const rights = 'storage.objects.create, get, list and delete (the role Storage Object Admin)'
    return ['STORAGE_DENIED', `access denied (${said}); the account needs ${rights} on ${bucket}`]
  }
  if (status === 404) {
    if (/bucket/i.test(said))
      return ['STORAGE_UNAVAILABLE', `there is no bucket ${bucket}; create it, or mend storage.gcs.bucket`]
    return ['STORAGE_NOT_FOUND', 'there is no such object']
  }
  if (status === 412) return ['STORAGE_EXISTS', 'there is an object of this name already']
  if (status === 416) return ['STORAGE_INVALID_RANGE', 'the object has no bytes there']
  if (status === 400 && /object name|unicode|disallowed/i.test(said))
    return ['STORAGE_INVALID_NAME', `GCS does not take the name: ${said}`]
  if (status === 410) return ['STORAGE_UNAVAILABLE', 'the server has dropped the upload half way; try again', true]
  const hint = endpoint.includes('googleapis.com') ? '' : '; check storage.gcs.endpointUrl'
  return ['STORAGE_UNAVAILABLE', `the server refuses: ${said} (HTTP ${status})${hint}`]
}

function ofNetwork(error: Error, { endpoint }: Scene): Told {
  const code = systemCodeOf(error)
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|CERT_(UNTRUSTED|SIGNATURE|REVOKED)|CERT_CHAIN/.test(code))
    return [
      'STORAGE_UNAVAILABLE',
      `the certificate of ${endpoint} is not trusted (${code}); name its authority in NODE_EXTRA_CA_CERTS`,
    ]
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return [
      'STORAGE_UNAVAILABLE',
      `the certificate of ${endpoint} is out of its time (${code}); renew it, or set the clock`,
    ]
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return ['STORAGE_UNAVAILABLE', `${endpoint} does not speak TLS as it should (${code}); is it an http:// port?`]
  if (code === 'ECONNREFUSED')
    return ['STORAGE_UNAVAILABLE', `nothing listens at ${endpoint}${checkEndpoint(endpoint)}`, true]
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return ['STORAGE_UNAVAILABLE', `the host of ${endpoint} can't be looked up${checkEndpoint(endpoint)}`, true]
  if (/TIMEDOUT|TIMEOUT|UNREACH|EHOSTDOWN/.test(code) || error.name === 'TimeoutError')
    return [
      'STORAGE_UNAVAILABLE',
      `${endpoint} does not answer (${code || error.name}); check the network and the firewall`,
      true,
    ]
  return ['STORAGE_UNAVAILABLE', `the connection to ${endpoint} broke (${code || firstLine(error.message)})`, true]
}

function checkEndpoint(endpoint: string): string {
  return endpoint.includes('googleapis.com')
    ? '; check the network and name resolution'
    : '; check storage.gcs.endpointUrl'
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The library's errors carry the request with its token, and the answer: only what helps goes on. */
function trimmed(error: Error): Error {
  const cause = new Error(firstLine(error.message))
  cause.name = error.name
  return Object.assign(cause, { code: systemCodeOf(error), status: statusOf(error), reason: reasonOf(error) })
}
