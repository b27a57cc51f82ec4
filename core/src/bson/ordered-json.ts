import { PbmError } from '../errors.js'

export type JsonValue = string | number | boolean | null | JsonValue[] | Map<string, JsonValue>

/** How deep a server nests, with room: deeper text is refused before it overflows the stack. */
const MAX_DEPTH = 250

/**
 * Parses JSON into Maps, which keep every key where it was; `JSON.parse` moves integer-like keys to the front.
 * Throws `JSON_INVALID` with the position.
 */
export function parseJson(text: string): JsonValue {
  return new Parser(text).document()
}

class Parser {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): JsonValue {
    const value = this.#value()
    this.#space()
    if (this.#at !== this.#text.length) this.#fail('text after the end')
    return value
  }

  #value(): JsonValue {
    this.#space()
    const next = this.#text[this.#at]
    if (next === '{') return this.#object()
    if (next === '[') return this.#array()
    if (next === '"') return this.#string()
    return this.#scalar()
  }

  #object(): Map<string, JsonValue> {
    const object = new Map<string, JsonValue>()
    this.#enter()
    while (!this.#close('}', object.size > 0)) {
      const key = this.#string()
      this.#expect(':')
      object.set(key, this.#value())
    }
    return object
  }

  #array(): JsonValue[] {
    const array: JsonValue[] = []
    this.#enter()
    while (!this.#close(']', array.length > 0)) array.push(this.#value())
    return array
  }

  #enter(): void {
    this.#at++
    this.#depth++
    if (this.#depth > MAX_DEPTH) this.#fail('nested too deep')
  }

  /** True, and past it, at the closing mark; else past the comma that has to be there after the first item. */
  #close(mark: string, comma: boolean): boolean {
    this.#space()
    if (this.#text[this.#at] === mark) {
      this.#at++
      this.#depth--
      return true
    }
    if (comma) this.#expect(',')
    this.#space()
    return false
  }

  #string(): string {
    const start = this.#at
    if (this.#text[start] !== '"') this.#fail('a string should begin here')
    let end = start + 1
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === '\\' ? 2 : 1
    this.#at = end + 1
    return this.#native(start) as string
  }

  #scalar(): JsonValue {
    const start = this.#at
    while (this.#at < this.#text.length && !/[\s,\]}]/.test(this.#text[this.#at] ?? '')) this.#at++
    return this.#native(start) as JsonValue
  }

  #native(start: number): unknown {
    try {
      return JSON.parse(this.#text.slice(start, this.#at))
    } catch {
      this.#at = start
      return this.#fail('not a value')
    }
  }

  #expect(mark: string): void {
    this.#space()
    if (this.#text[this.#at] !== mark) this.#fail(`'${mark}' should stand here`)
    this.#at++
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++
  }

  #fail(why: string): never {
    throw new PbmError('JSON_INVALID', `The JSON is wrong at character ${this.#at}: ${why}`)
  }
}
