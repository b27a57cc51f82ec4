/** Control characters, and those that end lines or turn the direction of text. */
const UNPRINTABLE = /\p{Cc}|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu
const IN_TEXT: ReadonlySet<string> = new Set(['\n', '\t'])

/**
 * The text as a terminal and a log may have it: what would move the cursor, hide or turn text stands as `\x1b`. Lines and
 * tabs stay. Names and errors come from storages and collections where others write.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => (IN_TEXT.has(character) ? character : escaped(character)))
}

/** The same for what is one line, as a name is. */
export function printableLine(text: string): string {
  return text.replace(UNPRINTABLE, escaped)
}

/** Any value as text, however odd: an object's own `toString` may be no function, or throw. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    return String(value)
  } catch {
    return Object.prototype.toString.call(value)
  }
}

/** JSON that says the same without such characters; `JSON.stringify` escapes only some of them. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (character) =>
    IN_TEXT.has(character) ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Whether a name that people give is without them. */
export function isPrintable(name: string): boolean {
  return printableLine(name) === name
}

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  if (character === '\n') return '\\n'
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}
