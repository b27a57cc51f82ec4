import type { RestoreCommand } from '@pbmkit/core'
import type { Command } from 'commander'
import { usageError } from '../errors.js'

export interface PartlyDoneOptions {
  fallbackEnabled?: boolean
  allowPartlyDone?: boolean
}

/** How a restore of files may end, as PBM's CLI has it: `--allow-partly-done=false` is `--no-allow-partly-done`. */
export function addPartlyDoneOptions(command: Command): Command {
  return command
    .option('--fallback-enabled', 'of files: the old ones come back where it fails, as they always do here')
    .option('--no-fallback-enabled', 'the same: kept for PBM')
    .option('--allow-partly-done', 'of files: a majority with the new ones goes on; default: as configured, then yes')
    .option('--no-allow-partly-done', 'of files: all members get the new ones, or all keep the old ones')
}

/** What nobody says is left to the configuration. */
export function partlyDoneFields({
  fallbackEnabled,
  allowPartlyDone,
}: PartlyDoneOptions): Pick<RestoreCommand, 'fallbackEnabled' | 'allowPartlyDone'> {
  if (fallbackEnabled === false && allowPartlyDone === false)
    throw usageError('--fallback-enabled and --allow-partly-done are both off', 'Then a restore could only succeed.')
  return { fallbackEnabled: fallbackEnabled ?? null, allowPartlyDone: allowPartlyDone ?? null }
}
