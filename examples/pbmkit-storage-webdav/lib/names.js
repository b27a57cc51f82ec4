/** A file on the server holds at most 255 bytes of name, and a byte of ours takes up to three of them. */
export const MAX_SEGMENT_BYTES = 80

/**
 * The path of an object without its slot. Servers disagree about spaces, percent signs, backslashes, letter case of
 * escapes and Unicode forms, so they only get to see plain ASCII. Folders end in `.d` and objects in a slot, so that
 * an object `a` can lie beside `a/b`.
 * @param {string} name
 */
export function pathOf(name) {
  const segments = name.split('/').map(escaped)
  const last = segments.pop() ?? ''
  return `${segments.map((segment) => `/${segment}.d`).join('')}/${last}`
}

/** The folder below which all names with this prefix lie. @param {string} prefix */
export function folderOf(prefix) {
  const folders = prefix.split('/').slice(0, -1)
  return folders.map((segment) => `/${escaped(segment)}.d`).join('') || '/'
}

/** @param {string} segment */
export function escaped(segment) {
  return [...Buffer.from(segment)]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9_-]/.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

/** The segment again; undefined for a file that is none of ours. @param {string} text */
export function unescaped(text) {
  if (!/^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/.test(text)) return undefined
  const bytes = text
    .match(/=..|./g)
    ?.map((part) => (part.length === 3 ? Number.parseInt(part.slice(1), 16) : part.charCodeAt(0)))
  return Buffer.from(bytes ?? []).toString()
}
