import { PbmError } from '../errors.js'
import { inTurns } from './turns.js'

export type JsonValue = string | number | boolean | null | JsonValue[] | Map<string, JsonValue>

/** The text has more values than who reads it wants. */
export class TooManyValues extends Error {}

export interface JsonLimits {
  /** Refuses an object that has a key twice, of which a Map keeps the last. */
  readonly uniqueKeys?: boolean
  /** Values. */
  readonly most?: number
  /** Characters of a string, as they stand in the text. */
  readonly longest?: number
}

/** How deep a server nests, with room: deeper text is refused before it overflows anybody's stack. */
const MAX_DEPTH = 250
/** No number is longer. */
const SCALAR = /[^\s,\]}]{0,400}/y
/** Characters of a string, and of blanks: more of them would be read in one turn, in which nobody else has one. */
const LONGEST_STRING = 8 * 1024 * 1024
const LONGEST_SPACE = 1024 * 1024

/**
 * Parses JSON into Maps, which keep every key where it was; `JSON.parse` moves integer-like keys to the front.
 * Throws `JSON_INVALID` with the position.
 */
export function parseJson(text: string, limits: Pick<JsonLimits, 'uniqueKeys'> = {}): JsonValue {
  const parser = new Parser(text, limits)
  while (!parser.step());
  return parser.value
}

/** The same for a large text: everybody else gets a turn meanwhile. Rejects with {@link TooManyValues} beyond `limits.most`. */
export async function parseJsonGently(text: string, limits: JsonLimits = {}): Promise<JsonValue> {
  const parser = new Parser(text, limits)
  await inTurns(() => parser.step())
  return parser.value
}

interface Open {
  readonly mark: '}' | ']'
  readonly value: Map<string, JsonValue> | JsonValue[]
  key: string
  isEmpty: boolean
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Without recursion, so that it can stop between any two values. */
class Parser {
  readonly #text: string
  readonly #open: Open[] = []
  #at = 0
  #result: { value: JsonValue } | undefined
  readonly #uniqueKeys: boolean
  /** Values that may still come. */
  #left: number
  readonly #longest: number

  constructor(
    text: string,
    { uniqueKeys = false, most = Number.POSITIVE_INFINITY, longest = LONGEST_STRING }: JsonLimits = {},
  ) {
    this.#text = text
    this.#left = most
    this.#longest = longest
    this.#uniqueKeys = uniqueKeys
  }

  get value(): JsonValue {
    return this.#result?.value ?? null
  }

  /** One value, or the end of one; true when the text is parsed. */
  step(): boolean {
    this.#space()
    if (this.#result !== undefined) {
      if (this.#at !== this.#text.length) this.#fail('text after the end')
      return true
    }
    const open = this.#open.at(-1)
    if (open === undefined) {
      this.#begin()
      return false
    }
    if (this.#text[this.#at] === open.mark) {
      this.#at++
      this.#open.pop()
      this.#put(open.value)
      return false
    }
    if (!open.isEmpty) this.#expect(',')
    open.isEmpty = false
    this.#space()
    if (open.mark === '}') {
      const start = this.#at
      open.key = this.#string()
      if (this.#uniqueKeys && open.value instanceof Map && open.value.has(open.key)) {
        this.#at = start
        this.#fail(`the key ${JSON.stringify(open.key)} stands there twice, and one of the two would not count`)
      }
      this.#expect(':')
      this.#space()
    }
    this.#begin()
    return false
  }

  #begin(): void {
    if (this.#left-- <= 0) throw new TooManyValues('the JSON has too many values')
    const next = this.#text[this.#at]
    if (next === '{') this.#enter('}', new Map())
    else if (next === '[') this.#enter(']', [])
    else this.#put(next === '"' ? this.#string() : this.#scalar())
  }

  #enter(mark: Open['mark'], value: Open['value']): void {
    this.#at++
    this.#open.push({ mark, value, key: '', isEmpty: true })
    if (this.#open.length > MAX_DEPTH) this.#fail('nested too deep')
  }

  #put(value: JsonValue): void {
    const open = this.#open.at(-1)
    if (open === undefined) this.#result = { value }
    else if (Array.isArray(open.value)) open.value.push(value)
    else open.value.set(open.key, value)
  }

  #string(): string {
    const start = this.#at
    if (this.#text[start] !== '"') this.#fail('a string should begin here')
    this.#at = this.#endOfString(start)
    if (this.#at - start > this.#longest) {
      this.#at = start
      this.#fail(`a text is longer than ${this.#longest} characters`)
    }
    return this.#native(start) as string
  }

  /** Behind its last quote; of one that has none, that of the text. */
  #endOfString(start: number): number {
    const text = this.#text
    const next = text.indexOf('"', start + 1)
    if (next < 0) return text.length
    if (text[next - 1] !== '\\') return next + 1
    for (let at = start + 1; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) return at + 1
      if (code === BACKSLASH) at++
      if (at - start > this.#longest) return at
    }
    return text.length
  }

  #scalar(): JsonValue {
    const start = this.#at
    SCALAR.lastIndex = start
    this.#at += SCALAR.exec(this.#text)?.[0].length ?? 0
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
    const start = this.#at
    while (isSpace(this.#text.charCodeAt(this.#at))) {
      if (++this.#at - start > LONGEST_SPACE) this.#fail('too many blanks')
    }
  }

  #fail(why: string): never {
    throw new PbmError('JSON_INVALID', `The JSON is wrong at character ${this.#at}: ${why}`)
  }
}

/** Space, tab, line feed, carriage return. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}
