import { BSON_ARRAY, BSON_DOCUMENT, BSON_STRING } from './elements.js'

/** One element with its value already in BSON: how raw documents are put into new ones without decoding them. */
export interface RawElement {
  readonly name: string
  readonly type: number
  readonly value: Uint8Array
}

export function documentElement(name: string, value: Uint8Array): RawElement {
  return { name, type: BSON_DOCUMENT, value }
}

export function arrayElement(name: string, values: readonly Uint8Array[]): RawElement {
  return {
    name,
    type: BSON_ARRAY,
    value: buildDocument(values.map((value, index) => documentElement(String(index), value))),
  }
}

export function stringElement(name: string, text: string): RawElement {
  const bytes = Buffer.from(text)
  const value = Buffer.alloc(bytes.length + 5)
  value.writeInt32LE(bytes.length + 1, 0)
  bytes.copy(value, 4)
  return { name, type: BSON_STRING, value }
}

/** A document of these elements, in this order. Names must not hold a NUL. */
export function buildDocument(elements: readonly RawElement[]): Buffer {
  const parts: Uint8Array[] = [Buffer.alloc(4)]
  for (const { name, type, value } of elements) parts.push(Buffer.of(type), Buffer.from(`${name}\0`), value)
  parts.push(Buffer.alloc(1))
  const document = Buffer.concat(parts)
  document.writeInt32LE(document.length, 0)
  return document
}
