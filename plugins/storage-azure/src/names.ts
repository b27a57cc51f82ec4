import { type Keys, keysBelow } from '@pbmkit/core/plugin/kit'

/**
 * The service can't tell control characters in its listings (XML has none), and takes a backslash for a slash: they are
 * kept as `%XX`. So that no other name looks like that, a percent sign before such digits becomes `%25`; all other names
 * are kept as they are.
 */
const ESCAPES = '0[0-9A-F]|1[0-9A-F]|25|5C|7F'
const TO_ESCAPE = new RegExp(`[\\u0001-\\u001f\\u007f\\\\]|%(?=${ESCAPES})`, 'g')
const ESCAPED = new RegExp(`%(?:(25)(?=${ESCAPES})|(0[0-9A-F]|1[0-9A-F]|5C|7F))`, 'g')

export function escaped(name: string): string {
  return name.replace(TO_ESCAPE, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

export function unescaped(key: string): string {
  return key.replace(ESCAPED, (_, percent: string | undefined, code: string | undefined) =>
    String.fromCharCode(Number.parseInt(percent ?? code ?? '', 16)),
  )
}

/** Between object names and names of blobs. */
export function blobKeys(prefix: string | undefined): Keys {
  const keys = keysBelow(prefix, 'storage.azure.prefix')
  const root = keys.keyPrefixOf('') ?? ''
  return {
    keyOf: (name) => root + escaped(keys.keyOf(name).slice(root.length)),
    nameOf: (key) => (key.startsWith(root) ? keys.nameOf(root + unescaped(key.slice(root.length))) : undefined),
    keyPrefixOf: (given) => {
      const key = keys.keyPrefixOf(given)
      // What is cut within an escape begins names that are escaped in another way.
      return key === undefined ? undefined : root + escaped(key.slice(root.length)).replace(/%[0-9A-F]?$/, '')
    },
  }
}
