import { PluginError } from '../plugin/errors.js'
import { shownName } from './object-name.js'

/** There is no object of this name. */
export function notFound(name: string, cause?: unknown): PluginError {
  return new PluginError('STORAGE_NOT_FOUND', `there is no object ${shownName(name)}`, { cause })
}

/** `shown` is what a person calls the object that stands where another was to be saved with `ifAbsent`. */
export function exists(shown: string): PluginError {
  return new PluginError('STORAGE_EXISTS', `${shown}: there is an object of this name already`)
}
