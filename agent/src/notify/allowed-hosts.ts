import { PbmError } from '@pbmkit/core'

/** Where something is to be sent. */
export interface Target {
  readonly protocol: 'http:' | 'https:' | 'smtp:'
  readonly host: string
  readonly port: number
  /** Of a webhook. */
  readonly path?: string
}

/** What an entry without a port allows. */
const STANDARD_PORTS: Readonly<Record<Target['protocol'], readonly number[]>> = {
  'http:': [80],
  'https:': [443],
  'smtp:': [25, 465, 587],
}

export function targetOf({ protocol, hostname, port, pathname }: URL): Target {
  const isSecure = protocol === 'https:'
  const known = port === '' ? (isSecure ? 443 : 80) : Number(port)
  return { protocol: isSecure ? 'https:' : 'http:', host: hostname.toLowerCase(), port: known, path: pathname }
}

/**
 * Refuses what this agent's own settings do not allow: addresses stand in `pbmConfig`, and whoever can write there could else
 * have agents call what only they can reach. Throws NOTIFY_NOT_ALLOWED.
 */
export function requireAllowed(target: Target, allowed: readonly string[]): void {
  if (allowed.some((entry) => allows(entry, target))) return
  const { protocol, host, port } = target
  const known = allowed.length === 0 ? 'none' : allowed.join(', ')
  throw new PbmError(
    'NOTIFY_NOT_ALLOWED',
    `this agent may not send to ${host}:${port} (${protocol.slice(0, -1)}); allowed here: ${known}`,
    { hint: `Allow it in the settings of every agent: --allow-notify ${host}:${port} (PBM_ALLOW_NOTIFY)` },
  )
}

function allows(entry: string, target: Target): boolean {
  if (!entry.includes('://')) {
    const { hostname, port } = new URL(`pbm://${entry}`)
    const ports = port === '' ? STANDARD_PORTS[target.protocol] : [Number(port)]
    return hostname.toLowerCase() === target.host && ports.includes(target.port)
  }
  const prefix = targetOf(new URL(entry))
  const same = prefix.protocol === target.protocol && prefix.host === target.host && prefix.port === target.port
  return same && isBelow(target.path ?? '', prefix.path ?? '/')
}

/** A part of a name is another place. */
function isBelow(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`)
}

/** What is wrong with an entry; undefined when nothing. */
export function entryFault(entry: string): string | undefined {
  const url = URL.parse(entry.includes('://') ? entry : `pbm://${entry}`)
  if (url === null || url.hostname === '') return 'is neither HOST, HOST:PORT nor an address'
  if (!['pbm:', 'http:', 'https:'].includes(url.protocol)) return 'is no http or https address'
  if (url.username !== '' || url.password !== '') return 'has a user'
  return url.protocol === 'pbm:' && !/^\/?$/.test(url.pathname) ? 'has a path; write it with https://' : undefined
}
