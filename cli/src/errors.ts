import { errorText, maskText, PbmError, unacknowledged } from '@pbmkit/core'
import { CommanderError } from 'commander'
import { notPermitted } from './not-permitted.js'

/** What the process exits with. Documented in the README: scripts build on these numbers. */
export const EXIT = { done: 0, failure: 1, usage: 2, waitTime: 3, busy: 4, interrupted: 130 } as const

const EXIT_BY_CODE: Readonly<Record<string, number>> = {
  USAGE: EXIT.usage,
  WAIT_TIME: EXIT.waitTime,
  OPERATION_RUNNING: EXIT.busy,
  INTERRUPTED: EXIT.interrupted,
}

/** A wrong command line: exit code 2. */
export function usageError(message: string, hint?: string): PbmError {
  return new PbmError('USAGE', message, hint === undefined ? {} : { hint })
}

/** A flag or command of PBM that this version does not have yet: exit code 2, and nothing was sent. */
export function notSupportedYet(what: string, hint?: string): PbmError {
  return new PbmError('USAGE', `${what}: not supported yet`, hint === undefined ? {} : { hint })
}

/** Commander ends `--help` and `--version` by throwing; those are successes. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  return EXIT_BY_CODE[codeOf(error)] ?? EXIT.failure
}

/** The stable code of any error; `ERROR` for what has none. */
export function codeOf(error: unknown): string {
  if (error instanceof CommanderError) return 'USAGE'
  const { code } = (inWords(error) ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : 'ERROR'
}

/** An error as the person or the script at the other end gets it. */
export interface ErrorReport {
  Error: string
  code: string
  hint?: string
}

/**
 * `Error` is PBM's own key for early failures, kept so that scripts written for it still find the message.
 * Nothing that looks like a URI with credentials passes.
 */
export function errorReport(thrown: unknown): ErrorReport {
  const error = inWords(thrown)
  const hint = (error as { hint?: unknown } | null)?.hint
  return {
    Error: withoutCredentials(messageOf(error)),
    code: codeOf(error),
    ...(typeof hint === 'string' ? { hint } : {}),
  }
}

/** What servers say of some errors is not for people. */
function inWords(error: unknown): unknown {
  return unacknowledged(error) ?? notPermitted(error) ?? error
}

function messageOf(error: unknown): string {
  if (error instanceof CommanderError) return error.message.replace(/^error: /, '')
  // The hint of a PbmError is printed apart, so only its causes are told beside its own message.
  if (error instanceof PbmError) {
    const cause = error.cause === undefined ? '' : errorText(error.cause)
    return cause === '' || error.message.includes(cause) ? error.message : `${error.message}: ${cause}`
  }
  return errorText(error) || 'unknown error'
}

/** A driver message may quote the connection string. Passwords with a plain `/` or `@` are masked as well. */
export function withoutCredentials(text: string): string {
  return maskText(text)
}
