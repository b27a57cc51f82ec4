import { ConnectionString } from 'mongodb-connection-string-url'
import { PbmError } from '../errors.js'
import { MASK, maskUrls } from '../secrets/text.js'
import { adaptOptions } from './uri-options.js'

const URI_HINT =
  'Give mongodb://USER:PASSWORD@HOST:PORT/?authSource=admin, with special characters of the password percent-encoded: @ is %40, / is %2F, : is %3A, ? is %3F, # is %23, % is %25'

/**
 * Reads a connection string. As in PBM, the scheme may be left out, `mongodb+srv` is refused, and so are concerns that
 * control documents cannot live with: w:0, read concerns other than local and majority, and majority reads beside w:1
 * (PBM: control-plane.md §1.1).
 * Throws URI_INVALID, URI_SRV, URI_CONCERN, URI_OPTION. What cannot be read is not quoted: nobody can say where the password
 * ends in it.
 */
export function parseUri(uri: string): ConnectionString {
  const text = uri.trim()
  if (text === '') {
    throw new PbmError('URI_INVALID', 'the MongoDB URI is empty', { hint: URI_HINT })
  }
  if (/^mongodb\+srv:/i.test(text)) {
    throw new PbmError('URI_SRV', 'mongodb+srv in the MongoDB URI is not supported', {
      hint: 'Name the hosts: mongodb://HOST:PORT,HOST:PORT/',
    })
  }
  const parsed = parse(withScheme(text))
  adaptOptions(parsed)
  refuseUnsafeOptions(parsed)
  return parsed
}

/**
 * The same servers for another user, who logs in with a password against the database that the URI names for that. Throws
 * as {@link parseUri}.
 */
export function uriForUser(uri: string, user: string, password: string): string {
  const target = parseUri(uri)
  for (const option of ['authMechanism', 'authMechanismProperties']) takeOption(target, option)
  target.username = encodeURIComponent(user)
  target.password = encodeURIComponent(password)
  return target.toString()
}

/** None where it can't be read, which connecting tells. */
function ignoredUriOptions(uri: string): string[] {
  try {
    return adaptOptions(new ConnectionString(withScheme(uri.trim())))
  } catch {
    return []
  }
}

/** Which options of a URI have no effect here, for people; undefined for none. */
export function ignoredUriOptionsText(uri: string): string | undefined {
  const ignored = ignoredUriOptions(uri)
  if (ignored.length === 0) return undefined
  return `without effect here, and ignored: ${ignored.join(', ')} in the MongoDB URI`
}

/** Removes an option of the URI, whatever its case, and returns its value. */
export function takeOption(uri: ConnectionString, name: string): string | undefined {
  let taken: string | undefined
  for (const key of [...uri.searchParams.keys()]) {
    if (key.toLowerCase() !== name.toLowerCase()) continue
    taken ??= uri.searchParams.get(key) ?? undefined
    uri.searchParams.delete(key)
  }
  return taken
}

/** Masks every MongoDB URI inside a text, the credentials in other URLs, and the secrets of `uri` wherever they stand in it. */
export function maskText(text: string, uri?: string): string {
  let masked = maskUrls(text.replace(URI_IN_TEXT, `$1${MASK}@`)).replace(SECRET_OPTIONS, `$1${MASK}`)
  for (const secret of uri === undefined ? [] : secretsOf(uri)) masked = masked.replaceAll(secret, MASK)
  return masked
}

const SECRET_OPTIONS = /\b((?:tlsCertificateKeyFilePassword|authMechanismProperties|proxyPassword)=)[^&\s'"]+/gi
const URI_IN_TEXT = /(mongodb(?:\+srv)?:\/\/)\S*@/gi

function withScheme(text: string): string {
  // Any other scheme stays, to be refused.
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `mongodb://${text}`
}

function parse(uri: string): ConnectionString {
  try {
    if (hasUnescaped(uri)) throw new TypeError('special characters')
    const parsed = new ConnectionString(uri)
    // The class keeps credentials encoded and fails only when they are used; say so here.
    decodeURIComponent(parsed.username)
    decodeURIComponent(parsed.password)
    return parsed
  } catch {
    // The parser's own message may repeat parts of the URI, so it is not passed on.
    throw new PbmError('URI_INVALID', 'the MongoDB URI cannot be read', { hint: URI_HINT })
  }
}

const MAY_HOLD_AT =
  /^(?:appName|authMechanismProperties|tlsCAFile|tlsCertificateKeyFile(?:Password)?|proxy(?:Username|Password))=/i

/**
 * An unescaped `/`, `?` or `#` in a password ends what the parser takes for the hosts: it would have a piece of the password
 * for a host, a port or an option, which are quoted in errors. The `@` in front of the true host then stands too far behind.
 */
function hasUnescaped(uri: string): boolean {
  const [, authority = '', path = '', search = '', hash] =
    /^[^:]*:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(uri) ?? []
  if (hash !== undefined || path.includes('@')) return true
  // The value of some options may hold one.
  const atInOption = search.split('&').some((option) => option.includes('@') && !MAY_HOLD_AT.test(option))
  return atInOption || (search.includes('@') && (path === '' || !authority.includes('@')))
}

function refuseUnsafeOptions(uri: ConnectionString): void {
  const option = (name: string): string | undefined => {
    for (const [key, value] of uri.searchParams) if (key.toLowerCase() === name.toLowerCase()) return value
    return undefined
  }
  const w = option('w')
  if (w === '0') {
    throw new PbmError('URI_CONCERN', 'w=0 in the MongoDB URI: writes without acknowledgment lose locks and states', {
      hint: 'Leave w out: the default is majority',
    })
  }
  const level = option('readConcernLevel') ?? 'majority'
  if (level !== 'majority' && level !== 'local') {
    throw new PbmError('URI_CONCERN', `readConcernLevel=${level} in the MongoDB URI is not allowed`, {
      hint: 'Use majority (the default) or local',
    })
  }
  if (level === 'majority' && w === '1') {
    throw new PbmError('URI_CONCERN', 'w=1 in the MongoDB URI does not go with majority reads', {
      hint: 'Leave w out, or add readConcernLevel=local',
    })
  }
  if (option('loadBalanced') === 'true') {
    throw new PbmError('URI_OPTION', 'loadBalanced=true in the MongoDB URI is not supported', {
      hint: 'Connect to the mongods themselves',
    })
  }
}

function secretsOf(uri: string): string[] {
  try {
    const parsed = new ConnectionString(withScheme(uri.trim()))
    const found = [parsed.password, decodeURIComponent(parsed.password)]
    for (const [key, value] of parsed.searchParams) if (/password/i.test(key)) found.push(value)
    // A one-letter password would blank out half of the message and hide nothing.
    return found.filter((secret) => secret.length > 2)
  } catch {
    return []
  }
}
