import { PbmError } from '@pbmkit/core'
import type { OperationContext } from './context.js'

export async function runBackup(_context: OperationContext): Promise<void> {
  throw new PbmError('NOT_SUPPORTED', 'backups are not supported yet')
}
