import { type Config, DEFAULT_COMPRESSION } from '../config/document.js'
import type { BackupCommand } from '../control/command-document.js'

/** The command's, or the configured one where that is of the same method. */
export function compressionLevel(command: BackupCommand, { backup }: Pick<Config, 'backup'>): number | undefined {
  if (command.level !== undefined) return command.level
  const configured = backup?.compression ?? DEFAULT_COMPRESSION
  return configured === command.compression ? backup?.compressionLevel : undefined
}
