import { BSON, Decimal128, EJSON, Long } from 'bson'
import { buildDocument, documentElement, type RawElement } from '../../bson/build.js'
import { BSON_BOOLEAN, BSON_INT32, BSON_STRING, findDocument } from '../../bson/elements.js'
import { booleanElement, elementsOf } from '../../oplog/raw-fields.js'

/** The most that a server takes; what its own upgrade puts in the place of what it does not take. */
const NEVER_SECONDS = 2_147_483_647
const FLAGS: ReadonlySet<string> = new Set(['unique', 'sparse', 'background', 'hidden'])
const WITHOUT_VALUE: ReadonlySet<number> = new Set([0x06, 0x0a])
const MOST_CHARACTERS = 500

export interface MendedDefinition {
  readonly spec: Buffer
  /** In words; empty where the definition is as it was. */
  readonly changes: readonly string[]
}

/**
 * Old servers took definitions that none takes now. What can be told to mean the same as a valid one becomes that: keys
 * that are neither a direction nor a kind are ascending (as old servers took them), times to live beyond all bounds become
 * the longest one. A NaN is taken by some servers, which then delete all documents at once.
 */
export function mendDefinition(spec: Buffer): MendedDefinition {
  const changes: string[] = []
  const elements = elementsOf(spec).flatMap((element): RawElement[] => {
    const mended = mendElement(element, spec)
    if (mended !== element)
      changes.push(`${element.name} is ${textOf(element)}${mended ? `, now ${textOf(mended)}` : ', left out'}`)
    return mended === undefined ? [] : [mended]
  })
  return { spec: changes.length === 0 ? spec : buildDocument(elements), changes }
}

export function definitionText(spec: Buffer): string {
  const text = EJSON.stringify(BSON.deserialize(spec), { relaxed: true })
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text
}

function mendElement(element: RawElement, spec: Buffer): RawElement | undefined {
  if (element.name === 'key') return mendKey(element, spec)
  if (element.name === 'expireAfterSeconds') {
    const seconds = numberOf(element)
    if (seconds === undefined) return undefined
    return seconds >= 0 && seconds <= NEVER_SECONDS ? element : int32Element(element.name, NEVER_SECONDS)
  }
  if (!FLAGS.has(element.name) || element.type === BSON_BOOLEAN || numberOf(element) !== undefined) return element
  return WITHOUT_VALUE.has(element.type) ? undefined : booleanElement(element.name, true)
}

function mendKey(element: RawElement, spec: Buffer): RawElement {
  const key = findDocument(spec, 'key')
  if (key === undefined) return element
  const fields = elementsOf(key)
  const mended = fields.map((field) => (isDirectionOrKind(field) ? field : int32Element(field.name, 1)))
  return mended.every((field, index) => field === fields[index])
    ? element
    : documentElement('key', buildDocument(mended))
}

function isDirectionOrKind(field: RawElement): boolean {
  if (field.type === BSON_STRING) return decoded(field) !== ''
  const number = numberOf(field)
  return number !== undefined && number !== 0 && !Number.isNaN(number)
}

function int32Element(name: string, value: number): RawElement {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return { name, type: BSON_INT32, value: bytes }
}

function decoded(element: RawElement): unknown {
  return BSON.deserialize(buildDocument([{ ...element, name: 'v' }])).v
}

function numberOf(element: RawElement): number | undefined {
  const value = decoded(element)
  if (value instanceof Long || value instanceof Decimal128) return Number(value.toString())
  return typeof value === 'number' ? value : undefined
}

function textOf(element: RawElement): string {
  return EJSON.stringify(decoded(element), { relaxed: true })
}
