export interface UriOptions {
  /** A user made by this testbed (its password is known), or any other with `password`. `false`: no credentials. */
  readonly user?: string | false
  readonly password?: string
}

export interface UriParts {
  readonly hosts: readonly string[]
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly replicaSet?: string | undefined
  readonly direct?: boolean
  readonly caFile?: string | undefined
}

/** A MongoDB connection string; user and password are escaped, users live in `admin`. */
export function buildUri(parts: UriParts): string {
  const query = new URLSearchParams()
  if (parts.user !== undefined) query.set('authSource', 'admin')
  if (parts.replicaSet !== undefined && parts.direct !== true) query.set('replicaSet', parts.replicaSet)
  if (parts.direct === true) query.set('directConnection', 'true')
  if (parts.caFile !== undefined) {
    query.set('tls', 'true')
    query.set('tlsCAFile', parts.caFile)
  }
  const credentials =
    parts.user === undefined ? '' : `${encodeURIComponent(parts.user)}:${encodeURIComponent(parts.password ?? '')}@`
  return `mongodb://${credentials}${parts.hosts.join(',')}/?${query}`
}
