import { PluginError, type StorageErrorCode } from '@pbmkit/core/plugin'

/** Where and at what a request failed, as people call it. */
export interface Scene {
  /** `writing azure://account/container/name`. */
  readonly doing: string
  readonly account: string
  readonly container: string
  /** URL of the blob service. */
  readonly endpoint: string
  /** When the configured shared access signature ends; absent where there is none, or it does not say. */
  readonly signatureEnds?: Date | undefined
}

interface Refusal {
  readonly code?: unknown
  readonly statusCode?: unknown
  readonly name?: unknown
  readonly details?: {
    readonly errorCode?: unknown
    readonly code?: unknown
    /** What the service says beside "failed to authenticate", and puts into no message. */
    readonly authenticationErrorDetail?: unknown
  }
  readonly response?: { readonly headers?: { get(name: string): string | undefined } }
}

/** The code that Azure gave, or that of the system or TLS; `''` for what is neither. */
export function codeOf(error: unknown): string {
  const { code, details, response, name } = (error ?? {}) as Refusal
  const header = response?.headers?.get('x-ms-error-code')
  for (const each of [details?.errorCode, details?.code, header, code, name])
    if (typeof each === 'string' && each !== '' && each !== 'Error' && each !== 'RestError') return each
  return ''
}

export function statusOf(error: unknown): number {
  const { statusCode } = (error ?? {}) as Refusal
  return typeof statusCode === 'number' ? statusCode : 0
}

export function isMissing(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'BlobNotFound' || (statusOf(error) === 404 && !code.startsWith('Container'))
}

type Row = readonly [code: StorageErrorCode, text: string | ((scene: Scene, said: string) => string), retriable?: true]

const CREDENTIALS = 'check storage.azure.credentials'
const ROLE =
  'the key, signature or identity needs to read, write, delete and list in the container (role "Storage Blob Data Contributor")'

const NO_CONTAINER: Row = [
  'STORAGE_UNAVAILABLE',
  ({ container }) => `there is no container ${container}; create it, or mend storage.azure.container`,
]
const REFUSED: Row = ['STORAGE_DENIED', (_, code) => `access denied (${code}); ${ROLE}`]
const NO_LOGIN: Row = [
  'STORAGE_DENIED',
  ({ account }) =>
    `the credentials are not those of the account ${account}, or have expired, or the clock of this machine is wrong (here it is ${new Date().toISOString()}); ${CREDENTIALS} and storage.azure.account`,
]
/** Azure means its network rules by this, Azurite a wrong signature, too. */
const NOT_AUTHORIZED: Row = [
  'STORAGE_DENIED',
  ({ account }, code) =>
    `access denied (${code}): the credentials are not those of the account ${account}, or have expired, or its network rules keep this machine out; ${CREDENTIALS}`,
]
const EXPIRED: Row = [
  'STORAGE_DENIED',
  ({ signatureEnds }) =>
    `the shared access signature has expired${signatureEnds === undefined ? '' : ` (${signatureEnds.toISOString()})`}; make another, and set storage.azure.credentials.sasToken`,
]
const NOT_BEGUN: Row = [
  'STORAGE_DENIED',
  'the shared access signature is not valid yet; set the clock of whoever makes it (NTP), or let it begin earlier',
]
const CLOCK: Row = [
  'STORAGE_DENIED',
  () =>
    `the clocks of this machine and of the service differ too much; here it is ${new Date().toISOString()}: set the clock (NTP)`,
]
const WRONG_KEY: Row = [
  'STORAGE_DENIED',
  ({ account }) =>
    `the key or signature is not one of the account ${account}; ${CREDENTIALS} and storage.azure.account`,
]
const BUSY: Row = ['STORAGE_UNAVAILABLE', (_, code) => `the service is busy or failing (${code})`, true]
const OTHER_WRITER: Row = ['STORAGE_UNAVAILABLE', 'another writer was at this name at the same time', true]

/** What Azure answers with, by code (learn.microsoft.com: Blob Storage error codes). */
const SERVICE: Readonly<Record<string, Row>> = {
  ContainerNotFound: NO_CONTAINER,
  ContainerDisabled: NO_CONTAINER,
  ContainerBeingDeleted: NO_CONTAINER,
  AuthenticationFailed: NO_LOGIN,
  InvalidAuthenticationInfo: NO_LOGIN,
  NoAuthenticationInformation: NO_LOGIN,
  AuthorizationFailure: NOT_AUTHORIZED,
  AuthorizationPermissionMismatch: REFUSED,
  AuthorizationProtocolMismatch: REFUSED,
  AuthorizationResourceTypeMismatch: REFUSED,
  AuthorizationServiceMismatch: REFUSED,
  AuthorizationSourceIPMismatch: REFUSED,
  InsufficientAccountPermissions: REFUSED,
  UnauthorizedBlobOverwrite: REFUSED,
  KeyBasedAuthenticationNotPermitted: REFUSED,
  PublicAccessNotPermitted: REFUSED,
  AccountIsDisabled: ['STORAGE_DENIED', ({ account }) => `the account ${account} is disabled`],
  BlobImmutableDueToPolicy: ['STORAGE_DENIED', 'a policy keeps the blob from being changed or deleted (immutability)'],
  LeaseIdMissing: ['STORAGE_DENIED', 'somebody holds a lease on the blob; break it, or wait for its end'],
  BlobNotFound: ['STORAGE_NOT_FOUND', 'there is no such object'],
  BlobAlreadyExists: ['STORAGE_EXISTS', 'there is an object of this name already'],
  ConditionNotMet: ['STORAGE_EXISTS', 'there is an object of this name already'],
  InvalidRange: ['STORAGE_INVALID_RANGE', 'the object has no bytes there'],
  InvalidBlockList: OTHER_WRITER,
  InvalidBlobOrBlock: OTHER_WRITER,
  PendingCopyOperation: OTHER_WRITER,
  BlobArchived: ['STORAGE_UNAVAILABLE', 'the blob is in the archive tier; rehydrate it there first'],
  BlobBeingRehydrated: [
    'STORAGE_UNAVAILABLE',
    'the blob is being brought back from the archive tier; wait for its end',
  ],
  InvalidBlobType: ['STORAGE_INVALID_NAME', 'a blob of another kind has this name'],
  InvalidResourceName: ['STORAGE_INVALID_NAME', 'the service does not take the name'],
  InvalidUri: ['STORAGE_INVALID_NAME', 'the service does not take the name'],
  RequestBodyTooLarge: ['STORAGE_NO_SPACE', 'larger than the service takes; lower storage.azure.maxObjSizeGB'],
  BlockCountExceedsLimit: ['STORAGE_NO_SPACE', 'larger than the service takes; lower storage.azure.maxObjSizeGB'],
  InsufficientStorage: ['STORAGE_NO_SPACE', 'the service has no space left'],
  ServerBusy: BUSY,
  InternalError: BUSY,
  OperationTimedOut: BUSY,
  CredentialUnavailableError: [
    'STORAGE_DENIED',
    'no credentials: set storage.azure.credentials, or give this process an identity (environment, workload or managed identity, az login)',
  ],
}

const ALIASES: Readonly<Record<string, string>> = {
  AggregateAuthenticationError: 'CredentialUnavailableError',
  AuthenticationRequiredError: 'CredentialUnavailableError',
  AuthenticationError: 'AuthenticationFailed',
}

/** What is no answer of the service: the page of a proxy or console, another protocol. */
function isForeign(code: string): boolean {
  return ['HPE_INVALID_CONSTANT', 'PARSE_ERROR', 'NotAzure'].includes(code)
}

/** What keeps a request from reaching the service, by code of the system or of TLS. Only some go away by themselves. */
function unreachable(code: string, { endpoint }: Scene): { text: string; retriable: boolean } | undefined {
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|CERT_(UNTRUSTED|SIGNATURE|REVOKED)|CERT_CHAIN/.test(code)) {
    const trust = 'start this process with NODE_EXTRA_CA_CERTS naming the file of its authority'
    return { text: `the certificate of ${endpoint} is not trusted (${code}); ${trust}`, retriable: false }
  }
  if (/^CERT_|ALTNAME_INVALID/.test(code))
    return { text: `the certificate of ${endpoint} is out of its time or for another host (${code})`, retriable: false }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return { text: `${endpoint} does not speak TLS as it should (${code}); is it an http:// port?`, retriable: false }
  if (code === 'ECONNREFUSED')
    return { text: `nothing listens at ${endpoint}; check storage.azure.endpointUrl`, retriable: true }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return {
      text: `the host of ${endpoint} is not known; check storage.azure.account, endpointUrl and name resolution`,
      retriable: true,
    }
  if (/^E[A-Z]+$/.test(code) || ['REQUEST_SEND_ERROR', 'AbortError', 'TimeoutError'].includes(code))
    return { text: `the connection to ${endpoint} broke, or it does not answer (${code})`, retriable: true }
  return undefined
}

/** What Azure, the network or TLS said, as an error of a storage. */
export function translated(error: unknown, scene: Scene): PluginError {
  if (isPluginError(error)) return error
  const known = error instanceof Error ? error : new Error(String(error))
  const code = codeOf(error)
  const status = statusOf(error)
  const failed = (as: StorageErrorCode, text: string, retriable: boolean) =>
    new PluginError(as, `${scene.doing}: ${text}`, { cause: trimmed(known), retriable })
  const row = ofLogin(error, code, scene) ?? SERVICE[code] ?? SERVICE[ALIASES[code] ?? ''] ?? byStatus(status)
  if (row !== undefined) {
    const [as, text, retriable = false] = row
    return failed(as, typeof text === 'string' ? text : text(scene, code), retriable)
  }
  if (status < 300 && isForeign(code)) {
    const text = `${scene.endpoint} does not answer as Azure Blob Storage does; check storage.azure.endpointUrl`
    return failed('STORAGE_UNAVAILABLE', text, true)
  }
  const network = status === 0 ? unreachable(code, scene) : undefined
  if (network !== undefined) return failed('STORAGE_UNAVAILABLE', network.text, network.retriable)
  const passing = status >= 500 || status === 429 || status === 408 || status === 0
  const shown = `${code === '' ? '' : `${code}: `}${firstLine(known)}${status === 0 ? '' : ` (HTTP ${status})`}`
  return failed('STORAGE_UNAVAILABLE', `${passing ? "the service can't now" : 'the service refuses'} ${shown}`, passing)
}

/** Requests older or newer than this are refused by the service (milliseconds). */
const MOST_SKEW_MS = 15 * 60_000

/** Azure has one code for wrong keys, clocks and signatures that have ended; the rest of its answer tells which it is. */
function ofLogin(error: unknown, code: string, { signatureEnds }: Scene): Row | undefined {
  if (!['AuthenticationFailed', 'AuthorizationFailure', 'InvalidAuthenticationInfo'].includes(code)) return undefined
  const { details, response } = error as Refusal
  const detail = String(details?.authenticationErrorDetail ?? '')
  const answered = Date.parse(response?.headers?.get('date') ?? '')
  // By the clock of the service, whatever ours says.
  const now = Number.isNaN(answered) ? Date.now() : answered
  if (signatureEnds !== undefined && signatureEnds.getTime() <= now) return EXPIRED
  if (/date header too (old|new)/i.test(detail) || Math.abs(now - Date.now()) > MOST_SKEW_MS) return CLOCK
  const [, start = '', end = ''] = /specified time frame: Start \[(.*?)\] - Expiry \[(.*?)\]/i.exec(detail) ?? []
  if (Date.parse(end) <= now) return EXPIRED
  if (Date.parse(start) > now) return NOT_BEGUN
  return /signature .*(not the same|did not match)/i.test(detail) ? WRONG_KEY : undefined
}

function byStatus(status: number): Row | undefined {
  if (status === 401) return NO_LOGIN
  if (status === 403) return REFUSED
  if (status === 404) return SERVICE.BlobNotFound
  if (status === 416) return SERVICE.InvalidRange
  if (status === 409 || status === 412) return status === 412 ? SERVICE.ConditionNotMet : undefined
  return status === 503 || status === 500 ? BUSY : undefined
}

function isPluginError(error: unknown): error is PluginError {
  return error instanceof Error && /^STORAGE_/.test(String((error as { code?: unknown }).code))
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0] ?? ''
}

/** The SDK's errors carry the request with its signature: only what helps goes on. */
function trimmed(error: Error): Error {
  // A fault of a program, whose stack tells where; there is no request in it.
  const fault = error.cause instanceof TypeError ? { cause: error.cause } : {}
  const cause = new Error(firstLine(error), fault)
  cause.name = error.name
  const { response } = error as Refusal
  const requestId = response?.headers?.get('x-ms-request-id')
  return Object.assign(cause, { code: codeOf(error), status: statusOf(error), requestId })
}
