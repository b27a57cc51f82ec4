import { buildDocument, type RawElement } from '../bson/build.js'
import { BSON_BOOLEAN, BSON_INT32, type ElementPosition, findField, readElement } from '../bson/elements.js'

/** All elements of a raw document, as views. For commands and index specs, never for data. */
export function elementsOf(document: Buffer): RawElement[] {
  const elements: RawElement[] = []
  const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  for (let at = 4; readElement(document, at, document.length, element); at = element.end) {
    elements.push({
      name: document.toString('utf8', element.start + 1, element.value - 1),
      type: element.type,
      value: document.subarray(element.value, element.end),
    })
  }
  return elements
}

/** The document without the fields named. */
export function withoutFields(document: Buffer, names: ReadonlySet<string>): Buffer {
  return buildDocument(elementsOf(document).filter(({ name }) => !names.has(name)))
}

/** The document with `element` in the place of the field of its name, or at the end. */
export function withField(document: Buffer, element: RawElement): Buffer {
  const elements = elementsOf(document)
  const index = elements.findIndex(({ name }) => name === element.name)
  if (index < 0) elements.push(element)
  else elements[index] = element
  return buildDocument(elements)
}

export function booleanElement(name: string, value: boolean): RawElement {
  return { name, type: BSON_BOOLEAN, value: Buffer.of(value ? 1 : 0) }
}

export function binaryElement(name: string, bytes: Uint8Array, subtype: number): RawElement {
  const value = Buffer.alloc(5 + bytes.length)
  value.writeInt32LE(bytes.length, 0)
  value[4] = subtype
  value.set(bytes, 5)
  return { name, type: 0x05, value }
}

/** Whether the field is `true`, or a number other than 0: the server takes both for its options. */
export function isTrue(document: Buffer, name: string): boolean {
  const field = findField(document, name)
  if (field === undefined) return false
  if (field.type === BSON_BOOLEAN) return document[field.value] === 1
  if (field.type === BSON_INT32) return document.readInt32LE(field.value) !== 0
  if (field.type === 0x01) return document.readDoubleLE(field.value) !== 0
  if (field.type === 0x12) return document.readBigInt64LE(field.value) !== 0n
  return false
}

/** The 16 bytes of a UUID field, or undefined. */
export function findUuid(document: Buffer, name: string): Buffer | undefined {
  const field = findField(document, name)
  if (field?.type !== 0x05 || field.end - field.value !== 21) return undefined
  return document.subarray(field.value + 5, field.end)
}
