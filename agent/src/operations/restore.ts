import { PbmError } from '@pbmkit/core'
import type { OperationContext } from './context.js'

export async function runRestore(_context: OperationContext): Promise<void> {
  throw new PbmError('NOT_SUPPORTED', 'restores are not supported yet')
}
