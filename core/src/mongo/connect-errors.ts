import { PbmError } from '../errors.js'
import { tlsFault, tlsOptionsOf } from './tls-errors.js'
import { maskText } from './uri.js'

/**
 * Turns what the driver threw while connecting into what a person can act on. `where` names the hosts, never secrets.
 * Codes: TLS, TLS_FILE, AUTHENTICATION, UNAUTHORIZED, UNREACHABLE, NO_PRIMARY, URI_INVALID, CONNECTION.
 */
export function explainConnectError(error: unknown, where: string, uri: string): PbmError {
  if (error instanceof PbmError) return error
  const chain = causes(error)
  const text = maskText(chain.map((cause) => cause.message).join(': '), uri)
  // The driver's own error is not kept as the cause: its texts may hold the URI.
  const reason = new Error(text)
  const failed = (code: string, what: string, hint: string) =>
    new PbmError(code, `${what} (${where})`, { hint, cause: reason })

  const file = chain.find((cause) => cause.code === 'ENOENT' || cause.code === 'EACCES')
  if (file?.path !== undefined) {
    return failed('TLS_FILE', `cannot read the TLS file ${file.path}`, 'Check tlsCAFile and tlsCertificateKeyFile')
  }
  const tls = tlsFault(chain, tlsOptionsOf(uri))
  if (tls !== undefined) return failed(tls.code, tls.what, tls.hint)
  if (chain.some((cause) => cause.code === 18 || /Authentication failed/i.test(cause.message))) {
    return failed(
      'AUTHENTICATION',
      'MongoDB refused the credentials',
      'Check user, password and authSource (usually authSource=admin) in the URI',
    )
  }
  if (chain.some((cause) => cause.code === 13)) {
    return failed(
      'UNAUTHORIZED',
      'the MongoDB user lacks privileges',
      'Name a user in the URI, with one of the roles that pbm setup-roles prints',
    )
  }
  if (chain.some((cause) => cause.name === 'MongoParseError' || cause.name === 'MongoInvalidArgumentError')) {
    return failed('URI_INVALID', 'the MongoDB URI has options the driver refuses', 'Correct the named option')
  }
  if (chain.some((cause) => cause.name === 'MongoServerSelectionError' || cause.name === 'MongoNetworkError')) {
    return failed('UNREACHABLE', 'cannot reach MongoDB', 'Check host and port, that mongod runs, and the firewall')
  }
  return failed('CONNECTION', 'connecting to MongoDB failed', 'See the reason')
}

interface Cause {
  name: string
  message: string
  code?: string | number
  path?: string
}

/** The error, its causes, and what the driver hides in its topology description. */
function causes(error: unknown): Cause[] {
  const found: Cause[] = []
  const pending: unknown[] = [error]
  const seen = new Set<unknown>()
  while (pending.length > 0 && found.length < 30) {
    const current = pending.shift()
    if (typeof current !== 'object' || current === null || seen.has(current)) continue
    seen.add(current)
    const { message, name, code, path, cause, errors, reason } = current as Record<string, unknown>
    if (typeof message === 'string') {
      found.push({
        name: String(name),
        message: message === '' ? String(code ?? name) : message,
        ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
        ...(typeof path === 'string' ? { path } : {}),
      })
    }
    pending.push(cause)
    if (Array.isArray(errors)) pending.push(...errors)
    const { servers } = (reason ?? {}) as { servers?: unknown }
    if (servers instanceof Map)
      for (const server of servers.values()) pending.push((server as { error?: unknown }).error)
  }
  const texts = new Set<string>()
  return found.filter((cause) => !texts.has(cause.message) && texts.add(cause.message))
}
