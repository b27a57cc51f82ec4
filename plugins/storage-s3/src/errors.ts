import { PluginError, type StorageErrorCode } from '@pbmkit/core/plugin'

/** Where and at what a request failed, as people call it. */
export interface Scene {
  /** `writing s3://bucket/prefix/name`. */
  readonly doing: string
  readonly bucket: string
  /** URL of the server. */
  readonly endpoint: string
  /** Whether objects are encrypted with a customer key. */
  readonly customerKey?: boolean
}

/** The code that S3 gave, or that of the system or TLS; `''` for what is neither. */
export function codeOf(error: unknown): string {
  const { name, code, Code } = (error ?? {}) as { name?: unknown; code?: unknown; Code?: unknown }
  for (const each of [Code, code, name]) if (typeof each === 'string' && each !== '' && each !== 'Error') return each
  return ''
}

export function statusOf(error: unknown): number {
  const status = (error as { $metadata?: { httpStatusCode?: unknown } } | null)?.$metadata?.httpStatusCode
  return typeof status === 'number' ? status : 0
}

/** Answers to HEAD have no body, and so no code: another request has to tell what is wrong. */
export function tellsTooLittle(error: unknown): boolean {
  return [301, 307, 400, 403, 404].includes(statusOf(error)) && !KNOWN.has(codeOf(error))
}

export function isMissing(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound'].includes(codeOf(error)) || (statusOf(error) === 404 && !KNOWN.has(codeOf(error)))
}

type Row = readonly [code: StorageErrorCode, text: string | ((scene: Scene, error: Error) => string), retriable?: true]

const KEYS = 'check storage.s3.credentials'

/** What S3 and its like answer with, by code. */
const SERVICE: Readonly<Record<string, Row>> = {
  InvalidAccessKeyId: ['STORAGE_DENIED', `the server does not know the access key; ${KEYS}.access-key-id`],
  SignatureDoesNotMatch: [
    'STORAGE_DENIED',
    `the secret does not belong to the access key; ${KEYS}.secret-access-key (and that no proxy changes requests)`,
  ],
  ExpiredToken: ['STORAGE_DENIED', `the credentials have expired; renew them, and ${KEYS}.session-token`],
  InvalidToken: ['STORAGE_DENIED', `the session token is not valid; renew it, and ${KEYS}.session-token`],
  RequestTimeTooSkewed: [
    'STORAGE_DENIED',
    () =>
      `the clocks of this machine and of the server differ too much; here it is ${new Date().toISOString()}: set the clocks (NTP)`,
  ],
  AccessDenied: [
    'STORAGE_DENIED',
    ({ bucket, customerKey }, error) =>
      /\bsts:AssumeRole/.test(error.message)
        ? roleRefused(error)
        : `access denied; the credentials need s3:ListBucket on ${bucket} and s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload on what is below its prefix, and the use of its KMS key${customerKey === true ? '; or the object was written with another storage.s3.serverSideEncryption.sseCustomerKey' : ''}`,
  ],
  RoleRefused: ['STORAGE_DENIED', (_, error) => roleRefused(error)],
  NoSuchBucket: [
    'STORAGE_UNAVAILABLE',
    ({ bucket }) => `there is no bucket ${bucket}; create it, or mend storage.s3.bucket`,
  ],
  InvalidBucketName: [
    'STORAGE_UNAVAILABLE',
    ({ bucket }) => `${JSON.stringify(bucket)} can't be the name of a bucket; mend storage.s3.bucket`,
  ],
  PermanentRedirect: ['STORAGE_UNAVAILABLE', wrongRegion],
  NoSuchKey: ['STORAGE_NOT_FOUND', 'there is no such object'],
  NoSuchUpload: ['STORAGE_UNAVAILABLE', 'the server has dropped the upload half way; try again', true],
  InvalidRange: ['STORAGE_INVALID_RANGE', 'the object has no bytes there'],
  PreconditionFailed: ['STORAGE_EXISTS', 'there is an object of this name already'],
  ConditionalRequestConflict: ['STORAGE_UNAVAILABLE', 'another writer was at this name at the same time', true],
  QuotaExceeded: [
    'STORAGE_NO_SPACE',
    ({ bucket }) => `the quota of ${bucket} is used up; raise it, or free some space`,
  ],
  StorageFull: ['STORAGE_NO_SPACE', 'the server has no space left; free some, or enlarge it'],
  EntityTooLarge: ['STORAGE_NO_SPACE', 'larger than the server takes; lower storage.s3.maxObjSizeGB or uploadPartSize'],
  KeyTooLongError: ['STORAGE_INVALID_NAME', 'the name is too long for this server'],
  InvalidObjectName: ['STORAGE_INVALID_NAME', 'this server does not take the name'],
  InvalidStorageClass: ['STORAGE_NOT_SUPPORTED', 'the server has no such storage class; mend storage.s3.storageClass'],
  InvalidObjectState: ['STORAGE_UNAVAILABLE', 'the object is in an archive class; restore it there first'],
  EncryptionRefused: [
    'STORAGE_DENIED',
    (_, error) => `the encryption was refused (${error.message}); check storage.s3.serverSideEncryption`,
  ],
  NotImplemented: [
    'STORAGE_NOT_SUPPORTED',
    (_, error) =>
      `the server has not learned this (${error.message}); check storage.s3.serverSideEncryption and storageClass`,
  ],
  CredentialsProviderError: [
    'STORAGE_DENIED',
    (_, error) =>
      `no credentials: set storage.s3.credentials, or give the environment, a profile or the machine's role (${firstLine(error)})`,
  ],
}

/** Other names of the rows above. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  InvalidAccessKeyId: ['InvalidClientTokenId', 'XMinioInvalidAccessKey'],
  ExpiredToken: ['ExpiredTokenException', 'TokenRefreshRequired', 'RequestExpired'],
  InvalidToken: ['InvalidTokenId', 'UnrecognizedClientException'],
  RequestTimeTooSkewed: ['RequestInTheFuture', 'ClockSkew', 'ClockSkewException'],
  AccessDenied: ['AllAccessDisabled', 'AccountProblem', 'KMS.DisabledException', 'KMS.AccessDeniedException'],
  RoleRefused: [
    'InvalidIdentityToken',
    'InvalidIdentityTokenException',
    'IDPRejectedClaim',
    'IDPRejectedClaimException',
  ],
  PermanentRedirect: ['AuthorizationHeaderMalformed', 'IllegalLocationConstraintException', 'TemporaryRedirect'],
  QuotaExceeded: ['XMinioAdminBucketQuotaExceeded', 'AdminBucketQuotaExceeded', 'ServiceQuotaExceededException'],
  StorageFull: ['XMinioStorageFull', 'InsufficientStorage', 'EntityTooLargeForStorage'],
  KeyTooLongError: ['KeyTooLong', 'XMinioInvalidObjectNameLength'],
  InvalidObjectName: [
    ...['XMinioInvalidObjectName', 'XMinioObjectExistsAsDirectory', 'XMinioParentIsObject', 'XMinioObjectTampered'],
  ],
  EncryptionRefused: [
    ...[
      'InvalidEncryptionAlgorithmError',
      'InvalidEncryptionMethod',
      'InvalidSSECustomerParameters',
      'KMSNotConfigured',
    ],
    ...['InsecureSSECustomerRequest', 'SSEEncryptionNotEnabled', 'SSECustomerKeyMD5Mismatch', 'SSEEncryptedObject'],
    ...['KMS.NotFoundException', 'KMSKeyNotFoundException', 'kms:KeyNotFound', 'XMinioKMSKeyNotFound'],
  ],
}

const KNOWN = new Map(Object.entries(SERVICE))
for (const [code, others] of Object.entries(ALIASES)) {
  const row = SERVICE[code]
  if (row !== undefined) for (const other of others) KNOWN.set(other, row)
}

const NOT_S3: Row = [
  'STORAGE_UNAVAILABLE',
  ({ endpoint }) =>
    `${endpoint} does not answer as S3 does; ${endpoint.startsWith('http:') ? 'if it speaks TLS, write https:// in' : 'check'} storage.s3.endpointUrl`,
]

/** What has the status of success and nothing of what was asked for: the page of a proxy or console. */
export class NotS3 extends Error {
  override readonly name = 'NotS3'
}

KNOWN.set('NotS3', NOT_S3)
// Once this may have been a proxy in bad shape.
KNOWN.set('HPE_INVALID_CONSTANT', [NOT_S3[0], NOT_S3[1], true])

const TRUST = 'name its authority in storage.s3.caFile, or set storage.s3.insecureSkipTLSVerify: true to trust any'

/** What keeps a request from reaching the server, by code of the system or of TLS. Only some go away by themselves. */
function unreachable(code: string, { endpoint }: Scene): { text: string; retriable: boolean } | undefined {
  const lasting = (text: string) => ({ text, retriable: false })
  const passing = (text: string) => ({ text, retriable: true })
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|CERT_(UNTRUSTED|SIGNATURE|REVOKED)|CERT_CHAIN/.test(code))
    return lasting(`the certificate of ${endpoint} is not trusted (${code}); ${TRUST}`)
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return lasting(`the certificate of ${endpoint} is out of its time (${code}); renew it, or set the clock`)
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return lasting(
      `the certificate of ${endpoint} is for another host name; mend storage.s3.endpointUrl or forcePathStyle`,
    )
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return lasting(`${endpoint} does not speak TLS as it should (${code}); is it an http:// port?`)
  if (code === 'ECONNREFUSED') return passing(`nothing listens at ${endpoint}; check storage.s3.endpointUrl`)
  if (code === 'ENOTFOUND')
    return passing(`the host of ${endpoint} is not known; check storage.s3.endpointUrl and name resolution`)
  if (code === 'EAI_AGAIN') return passing(`the host of ${endpoint} can't be looked up now; check name resolution`)
  if (['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'TimeoutError', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN'].includes(code))
    return passing(`${endpoint} does not answer (${code}); check the network, the firewall and storage.s3.endpointUrl`)
  if (/^E[A-Z]+$/.test(code) || code === 'AbortError') return passing(`the connection to ${endpoint} broke (${code})`)
  return undefined
}

/** What S3, the network or TLS said, as an error of a storage. */
export function translated(error: unknown, scene: Scene): PluginError {
  if (isPluginError(error)) return error
  const known = error instanceof Error ? error : new Error(String(error))
  const code = codeOf(error)
  const failed = (as: StorageErrorCode, text: string, retriable: boolean) =>
    new PluginError(as, `${scene.doing}: ${text}`, { cause: trimmed(known), retriable })
  const row = KNOWN.get(code) ?? byStatus(statusOf(error), known)
  if (row !== undefined) {
    const [as, text, retriable = false] = row
    return failed(as, typeof text === 'string' ? text : text(scene, known), retriable)
  }
  const network = unreachable(code, scene)
  if (network !== undefined) return failed('STORAGE_UNAVAILABLE', network.text, network.retriable)
  const status = statusOf(error)
  const passing = status >= 500 || status === 429 || status === 408 || status === 0
  const said = /^Unknown/.test(code) ? '' : `${code === '' ? '' : `${code}: `}${firstLine(known)}`
  const shown = [said, status === 0 ? '' : `(HTTP ${status})`].filter((text) => text !== '').join(' ')
  return failed('STORAGE_UNAVAILABLE', `${passing ? "the server can't now" : 'the server refuses'} ${shown}`, passing)
}

function byStatus(status: number, error: Error): Row | undefined {
  const row = (code: string) => SERVICE[code]
  if (/HTTP request to an HTTPS server|XML parse error|Deserialization error/i.test(error.message)) return NOT_S3
  if (/encrypt|customer key|KMS/i.test(error.message) && status >= 400 && status < 500) return row('EncryptionRefused')
  if (status === 301 || status === 307) return row('PermanentRedirect')
  if (status === 401 || status === 403) return row('AccessDenied')
  if (status === 404) return row('NoSuchKey')
  if (status === 412) return row('PreconditionFailed')
  if (status === 416) return row('InvalidRange')
  if (status === 507) return row('StorageFull')
  return status === 501 ? row('NotImplemented') : undefined
}

function wrongRegion({ bucket }: Scene, error: Error): string {
  const { Region, $response } = error as { Region?: string; $response?: { headers?: Record<string, string> } }
  const region = Region ?? $response?.headers?.['x-amz-bucket-region']
  const where = region === undefined ? 'in another region' : `in the region ${region}`
  return `the bucket ${bucket} is ${where}; mend storage.s3.region or endpointUrl`
}

/** By the token service, which is asked before the storage. */
function roleRefused(error: Error): string {
  return `the role is refused to this process (${firstLine(error)}); check AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, or the profile, and whom the role trusts`
}

function isPluginError(error: unknown): error is PluginError {
  return error instanceof Error && /^(STORAGE|CODEC|ENCRYPTION)_/.test(String((error as { code?: unknown }).code))
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0] ?? ''
}

/** The SDK's errors carry the request, access key and signature with them: only what helps goes on. */
function trimmed(error: Error): Error {
  const { $metadata } = error as { $metadata?: { requestId?: string; attempts?: number } }
  const cause = new Error(error.message)
  cause.name = error.name
  return Object.assign(cause, {
    code: codeOf(error),
    status: statusOf(error),
    requestId: $metadata?.requestId,
    attempts: $metadata?.attempts,
  })
}
