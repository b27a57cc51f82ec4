import { Double, Int32, Long } from 'bson'
import { mapValues, type SchemaNode, typesOf } from '../plugin-host/schema.js'

const TRUE = /^(?:true|yes|on)$/i
const FALSE = /^(?:false|no|off)$/i
const INTEGER = /^[+-]?\d+$/
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i

/**
 * A value written as text, in the type that the schema asks for; the text itself where it fits none, so that validation
 * can refuse it by name. An unquoted YAML scalar and the value of `--set` are read alike: `prefix: 2024` is a text.
 */
export function typedValue(source: string, schema: SchemaNode): unknown {
  const types = typesOf(schema)
  if (types.includes('integer') && INTEGER.test(source)) return Number(source)
  if (types.includes('number') && NUMBER.test(source)) return Number(source)
  if (types.includes('boolean') && TRUE.test(source)) return true
  if (types.includes('boolean') && FALSE.test(source)) return false
  return source
}

/** The schema below `schema` at `key`: a property, or the values of a map. */
export function childSchema(schema: SchemaNode | undefined, key: string): SchemaNode | undefined {
  if (schema === undefined) return undefined
  const properties = schema.properties ?? {}
  return Object.hasOwn(properties, key) ? properties[key] : mapValues(schema)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  )
}

/**
 * The value with the BSON types PBM writes: integers as int32, those marked `int64` as long, other numbers as double
 * (PBM: control-plane.md §1.2, §7). What no schema describes passes as it is.
 */
export function toWire(value: unknown, schema: SchemaNode | undefined): unknown {
  if (isRecord(value)) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined && field !== null)
    return Object.fromEntries(fields.map(([key, field]) => [key, toWire(field, childSchema(schema, key))]))
  }
  if (typeof value !== 'number' || schema === undefined) return value
  const types = typesOf(schema)
  if (types.includes('number')) return new Double(value)
  if (!types.includes('integer')) return value
  return schema.int64 === true || Math.abs(value) > 2_147_483_647 ? Long.fromNumber(value) : new Int32(value)
}

/** A copy without the keys that are null: PBM writes null for what is not set (PBM: control-plane.md §1.2). */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isRecord(value)) return value
  const fields = Object.entries(value).filter(([, field]) => field !== null && field !== undefined)
  return Object.fromEntries(fields.map(([key, field]) => [key, withoutNulls(field)]))
}
