import { PluginError, type StoragePlugin } from '@pbmkit/core/plugin'
import { reference } from './reference-storage.js'
import type { BrokenStorage } from './storage.js'

type Open = (typeof reference)['open']

/** The right plugin with what it says of places that can't be used changed. */
function saying(caught: string, change: (error: PluginError, options: Parameters<Open>[0]) => Error): BrokenStorage {
  const open: Open = (options, context) =>
    reference.open(options, context).catch((error: PluginError) => {
      throw change(error, options)
    })
  const plugin: StoragePlugin = { ...reference, open }
  return { plugin, caught }
}

const DENIED = 'says STORAGE_DENIED where that is so, and shows no secret'

/** Stores that are wrong in what they say when they refuse. */
export const BROKEN_REFUSALS: Readonly<Record<string, BrokenStorage>> = {
  'takes wrong keys for a broken connection': saying(
    DENIED,
    ({ message }) => new PluginError('STORAGE_UNAVAILABLE', message),
  ),
  'lets wrong keys be tried again and again': saying(
    DENIED,
    ({ code, message }) => new PluginError(code, message, { retriable: true }),
  ),
  'shows the wrong key': saying(
    DENIED,
    ({ code, message }, { servers }) =>
      new PluginError(code, message, { cause: new Error(`pin: ${servers[0]?.headers.pin}`) }),
  ),
  'passes on what the network said': saying('says STORAGE_UNAVAILABLE where that is so, and shows no secret', () =>
    Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
  ),
}
