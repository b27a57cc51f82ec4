import type { FastifyRequest } from 'fastify'
import type { HostCheck } from './access.js'
import type { PageFiles } from './page-files.js'
import type { BuildProgram } from './run-line.js'
import type { TokenVisitors, UserVisitors, Visitor } from './visitors.js'

export interface ServerOptions {
  readonly build: BuildProgram
  readonly visitors: TokenVisitors | UserVisitors
  readonly isHost: HostCheck
  readonly readOnly: boolean
  readonly files: PageFiles
  readonly version: string
  /** PEM, for https. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer }
  /** Aborted when the server is closed. */
  readonly signal: AbortSignal
}

/** Whose request it is. */
export type VisitorOf = (request: FastifyRequest) => Visitor
