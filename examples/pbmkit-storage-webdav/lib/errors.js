import { hasCode, PluginError } from '@pbmkit/core/plugin'

/** The status a server answered with; undefined where none did. @param {unknown} error @returns {number | undefined} */
export function statusOf(error) {
  const status = /** @type {{ status?: unknown } | null} */ (error)?.status
  return typeof status === 'number' ? status : undefined
}

/** Whether the server says that nothing is there. @param {unknown} error */
export function isMissing(error) {
  return statusOf(error) === 404
}

/**
 * What pbmkit compares is the code; what a person reads is the message.
 * @param {unknown} error
 * @param {string} doing what was tried, and with what
 */
export function translated(error, doing) {
  if (error instanceof PluginError || hasCode(error, 'STORAGE_NOT_FOUND')) return error
  const status = statusOf(error)
  const told = `${doing}: ${error instanceof Error ? error.message : String(error)}`
  if (status === 404) return new PluginError('STORAGE_NOT_FOUND', told, { cause: error })
  if (status === 401 || status === 403) return new PluginError('STORAGE_DENIED', told, { cause: error })
  if (status === 413 || status === 507) return new PluginError('STORAGE_NO_SPACE', told, { cause: error })
  if (status === 414) return new PluginError('STORAGE_INVALID_NAME', told, { cause: error })
  if (status === 405 || status === 501) return new PluginError('STORAGE_NOT_SUPPORTED', told, { cause: error })
  // Everything else passes: a locked file, an overloaded server, a connection that broke.
  return new PluginError('STORAGE_UNAVAILABLE', told, { cause: error })
}
