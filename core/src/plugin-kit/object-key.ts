import { posix } from 'node:path'
import { PluginError } from '../plugin/errors.js'
import { shownName, whyIllegalName } from './object-name.js'

/** Of a name, and in object stores of a whole key with its prefix. */
const MAX_BYTES = 1024

/** Between object names and keys of a bucket or container. */
export interface Keys {
  /** Throws STORAGE_INVALID_NAME for a name that can't be kept, before anything is touched. */
  keyOf(name: string): string
  /** The name of a listed key; `undefined` for keys that are none of ours, such as the markers of folders. */
  nameOf(key: string): string | undefined
  /**
   * Prefix of the keys whose names begin with `prefix`, or a shorter one where servers refuse that; `undefined` when no
   * legal name begins so.
   */
  keyPrefixOf(prefix: string): string | undefined
}

/** Where a storage keeps its objects, for messages: the bucket, say, and the folders of the prefix, without surplus slashes. */
export function shownPlace(bucket: string, prefix = ''): string {
  return [bucket, ...prefix.split('/').filter((segment) => segment !== '')].join('/')
}

/**
 * @param prefix joined as PBM does: surplus slashes go, one at the front stays
 * @param option the name of that option, for messages: `storage.s3.prefix`
 * @param maxSegmentBytes longest path segment the server keeps, where it has such a limit
 */
export function keysBelow(prefix: string | undefined, option: string, maxSegmentBytes?: number): Keys {
  const root = prefix === undefined || prefix === '' ? '' : withSlash(posix.join(prefix))
  const refuse = (name: string, reason: string) =>
    new PluginError('STORAGE_INVALID_NAME', `object name ${shownName(name)}: ${reason}`)
  return {
    keyOf: (name) => {
      const reason = whyIllegalName(name, { maxSegmentBytes })
      if (reason !== undefined) throw refuse(name, reason)
      const key = root + name
      const bytes = Buffer.byteLength(key)
      if (bytes <= MAX_BYTES) return key
      throw refuse(name, `with ${option} it has ${bytes} bytes, ${MAX_BYTES} are the limit`)
    },
    nameOf: (key) => {
      if (!key.startsWith(root)) return undefined
      const name = key.slice(root.length)
      return whyIllegalName(name) === undefined ? name : undefined
    },
    // A legal name and `x` at its end are legal together, but for the length: so a prefix can be judged as a name.
    keyPrefixOf: (given) => {
      // Cut in the middle of a character.
      const start = given.replace(/[\ud800-\udbff]$/, '')
      return start === '' || whyIllegalName(`${start}x`, { maxBytes: MAX_BYTES + 1 }) === undefined
        ? root + start.replace(/(?<=^|\/)\.\.?$/, '')
        : undefined
    },
  }
}

function withSlash(path: string): string {
  if (path === '.' || path === './') return ''
  return path.endsWith('/') ? path : `${path}/`
}
