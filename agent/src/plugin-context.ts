import type { Member, OperationLog, PluginContext } from '@pbmkit/core'

/** What a plugin is opened with here. Its signal is nobody's: an operation that is cancelled still has objects to delete. */
export function pluginContext(log: OperationLog, { node }: Member): PluginContext {
  return {
    signal: new AbortController().signal,
    warn: (message: string) => log.warning(message),
    debug: (message: string) => log.debug(message),
    node,
  }
}
