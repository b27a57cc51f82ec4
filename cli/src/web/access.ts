import { createHash, randomBytes, timingSafeEqual, type X509Certificate } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

/** 256 random bits, as a URL and a cookie may have them. */
export function secret(): string {
  return randomBytes(32).toString('base64url')
}

/** Compares without telling by its time how much is right. */
export function isSameSecret(given: string, right: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(given), hash(right))
}

/** Names that no foreign DNS can lead here, whatever the port: a tunnel may have another one. */
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Whether the page may be served under the name in `Host`. */
export type HostCheck = (name: string) => boolean

/** On loopback: by a name of loopback alone. A page of a stranger whose name leads to 127.0.0.1 comes with its own. */
export const isLoopbackHost: HostCheck = (name) => LOOPBACK_NAMES.has(name.toLowerCase())

/** Elsewhere: by a name that the certificate is for. */
export function certifiedHost(certificate: Pick<X509Certificate, 'checkHost' | 'checkIP'>): HostCheck {
  return (name) => {
    const address = name.replace(/^\[(.*)\]$/, '$1')
    return (isIP(address) === 0 ? certificate.checkHost(name) : certificate.checkIP(address)) !== undefined
  }
}

export interface Asked {
  readonly method: string
  readonly headers: IncomingHttpHeaders
}

/**
 * Why a request is refused before it is looked at: it comes under a foreign name, or from the page of another site. undefined
 * for one of this page, and for the first one, which a person makes.
 */
export function foreignFault(asked: Asked, scheme: 'http' | 'https', isHost: HostCheck): string | undefined {
  const { method, headers } = asked
  const host = headers.host ?? ''
  const name = host.replace(/:\d+$/, '')
  if (name === '' || !isHost(name)) return `not served under the name in Host`
  const own = `${scheme}://${host.toLowerCase()}`
  const { origin } = headers
  if (origin !== undefined && origin.toLowerCase() !== own) return 'asked by the page of another site'
  if (method === 'GET' || method === 'HEAD') {
    const site = headers['sec-fetch-site']
    // A link to the page is followed; nothing but pages is shown to other sites.
    const isVisit = headers['sec-fetch-mode'] === 'navigate'
    return site === undefined || site === 'same-origin' || isVisit ? undefined : 'asked by the page of another site'
  }
  return origin === undefined ? 'without Origin' : undefined
}

/** The value of a cookie, where it was sent once. */
export function cookieOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const found = (headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
  return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined
}

/** Of the session: no script reads it, and no other site's page sends it. */
export function sessionCookie(name: string, value: string, { isSecure }: { readonly isSecure: boolean }): string {
  return [`${name}=${value}`, 'Path=/', 'HttpOnly', 'SameSite=Strict', ...(isSecure ? ['Secure'] : [])].join('; ')
}

/** Ends it. */
export function endedCookie(name: string, options: { readonly isSecure: boolean }): string {
  return `${sessionCookie(name, '', options)}; Max-Age=0`
}

/**
 * Of every answer. Scripts and styles come from here alone and never from within a page; nothing is loaded from anywhere else,
 * nobody frames it, and no text becomes markup.
 */
export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}
