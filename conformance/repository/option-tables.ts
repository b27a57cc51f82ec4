/** What a table needs of the JSON Schema of a plugin's options. */
export interface OptionSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly writeOnly?: boolean
  readonly localFile?: boolean
  readonly localCommand?: boolean
  readonly minimum?: number
  readonly maximum?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, OptionSchema>>
  readonly additionalProperties?: boolean | OptionSchema
}

const START = '<!-- options: made from the schema by scripts/option-tables.mjs -->'
const END = '<!-- end of options -->'

/**
 * A README with the table of its options made anew between its two marks; as it is where it has none.
 *
 * @param section where the options stand in the configuration, such as `storage.s3`
 */
export function withOptionTable(readme: string, section: string, schema: OptionSchema): string {
  const start = readme.indexOf(START)
  const end = readme.indexOf(END)
  if (start < 0 || end < start) return readme
  return `${readme.slice(0, start)}${START}\n${optionTable(section, schema)}${readme.slice(end)}`
}

export function optionTable(section: string, schema: OptionSchema): string {
  const rows = rowsOf('', schema).map((cells) => `| ${cells.join(' | ')} |\n`)
  return `| Key under \`${section}\` | Type | Meaning |\n| --- | --- | --- |\n${rows.join('')}`
}

function rowsOf(prefix: string, { properties = {}, required = [] }: OptionSchema): string[][] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const key = `${prefix}${name}`
    const inner = rowsOf(`${key}.`, schema)
    if (inner.length > 0 && schema.description === undefined) return inner
    const type = `${typeOf(schema)}${required.includes(name) ? ', required' : ''}`
    return [[`\`${key}\``, type, sentence(schema.description ?? '')], ...inner]
  })
}

function typeOf({ type, writeOnly, localFile, localCommand, minimum, maximum, properties }: OptionSchema): string {
  if (writeOnly === true) return 'secret'
  if (localFile === true) return 'path'
  if (localCommand === true) return 'command'
  if (properties !== undefined) return 'section'
  switch (type) {
    case 'string':
      return 'text'
    case 'object':
      return 'map'
    case 'array':
      return 'list'
    case 'integer':
    case 'number':
      return minimum !== undefined && maximum !== undefined ? `number, ${minimum} to ${maximum}` : 'number'
    default:
      return Array.isArray(type) ? 'duration' : String(type)
  }
}

function sentence(description: string): string {
  const text = description.replaceAll('|', '\\|').replaceAll(/[<>]/g, (bracket) => `\\${bracket}`)
  return text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('…') ? '' : '.'}`
}
