import { setImmediate as turn } from 'node:timers/promises'
import { PbmError } from '../errors.js'

export type JsonValue = string | number | boolean | null | JsonValue[] | Map<string, JsonValue>

/** The text has more values than who reads it wants. */
export class TooManyValues extends Error {}

/** How deep a server nests, with room: deeper text is refused before it overflows anybody's stack. */
const MAX_DEPTH = 250
/** No number is longer. */
const SCALAR = /[^\s,\]}]{0,400}/y
/** How long others may have to wait for their turn, and how many steps are no time at all. */
const TURN_MS = 15
const STEPS_A_LOOK = 256

/**
 * Parses JSON into Maps, which keep every key where it was; `JSON.parse` moves integer-like keys to the front.
 * Throws `JSON_INVALID` with the position; with `uniqueKeys`, also where an object has a key twice, of which a Map keeps the last.
 */
export function parseJson(text: string, { uniqueKeys = false } = {}): JsonValue {
  const parser = new Parser(text, Number.POSITIVE_INFINITY, uniqueKeys)
  while (!parser.step());
  return parser.value
}

/** The same for a large text: everybody else gets a turn meanwhile. Rejects with {@link TooManyValues} beyond `most`. */
export async function parseJsonGently(text: string, most = Number.POSITIVE_INFINITY): Promise<JsonValue> {
  const parser = new Parser(text, most)
  await inTurns(() => parser.step())
  return parser.value
}

/** Calls `step` until it is true, with turns for everybody else in between. */
export async function inTurns(step: () => boolean, stepsALook = STEPS_A_LOOK): Promise<void> {
  let since = performance.now()
  for (let steps = 1; !step(); steps++) {
    if (steps % stepsALook !== 0 || performance.now() - since < TURN_MS) continue
    await turn()
    since = performance.now()
  }
}

/** Calls `work` with each of many, with turns for everybody else in between. */
export async function eachInTurns<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
  const iterator = items[Symbol.iterator]()
  await inTurns(() => {
    const { done, value } = iterator.next()
    if (done !== true) work(value)
    return done === true
  })
}

interface Open {
  readonly mark: '}' | ']'
  readonly value: Map<string, JsonValue> | JsonValue[]
  key: string
  isEmpty: boolean
}

/** Without recursion, so that it can stop between any two values. */
class Parser {
  readonly #text: string
  readonly #open: Open[] = []
  #at = 0
  #result: { value: JsonValue } | undefined
  readonly #uniqueKeys: boolean
  /** Values that may still come. */
  #left: number

  constructor(text: string, most = Number.POSITIVE_INFINITY, uniqueKeys = false) {
    this.#text = text
    this.#left = most
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
    let end = start
    do end = this.#text.indexOf('"', end + 1)
    while (end >= 0 && this.#isEscaped(end))
    this.#at = end < 0 ? this.#text.length : end + 1
    return this.#native(start) as string
  }

  #isEscaped(quote: number): boolean {
    let before = quote
    while (this.#text[before - 1] === '\\') before--
    return (quote - before) % 2 === 1
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
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++
  }

  #fail(why: string): never {
    throw new PbmError('JSON_INVALID', `The JSON is wrong at character ${this.#at}: ${why}`)
  }
}

/** Space, tab, line feed, carriage return. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}
