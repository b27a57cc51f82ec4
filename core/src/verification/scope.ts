import type { Timestamp } from 'bson'
import type { VerifyCommand } from '../control/command-document.js'
import { PbmError } from '../errors.js'

/** What is to be verified: one of these. */
export type VerifyScope =
  | { readonly backup: string }
  /** Every backup, and the chunks, of what ends at or after `since` (Unix seconds). */
  | { readonly all: true; readonly since?: number }
  | { readonly chunks: true; readonly since?: number }
  /** All that a restore to this time takes. */
  | { readonly time: Timestamp }

/** What a command asks for. Throws COMMAND_INVALID. */
export function verifyScopeOf({ backup, all, pitr, time, since }: VerifyCommand): VerifyScope {
  const from = since === undefined ? {} : { since: Number(since) }
  if (backup !== undefined && backup !== '') return { backup }
  if (all === true) return { all, ...from }
  if (pitr === true) return { chunks: true, ...from }
  if (time) return { time }
  throw new PbmError('COMMAND_INVALID', 'the command does not say what is to be verified')
}
