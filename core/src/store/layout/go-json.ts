/** JSON as Go's `json.MarshalIndent(value, "", "\t")` prints it: HTML characters and line separators are escaped. */
export function goJson(value: unknown): string {
  const text = JSON.stringify(value, integers, '\t')
  return text.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** BSON's 64-bit integers as plain numbers. */
function integers(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  const { _bsontype: type } = (value ?? {}) as { _bsontype?: unknown }
  return type === 'Long' || type === 'Int32' || type === 'Double' ? Number(value) : value
}
