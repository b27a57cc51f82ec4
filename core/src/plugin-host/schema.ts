import { Ajv, type ValidateFunction } from 'ajv'

/**
 * The validator of options schemas, with our own keywords. Strict, so that a keyword with a typing error (`writeonly`)
 * is a fault of the plugin and not a secret in a log. Formats are hints for people here, not checks.
 */
export function schemaValidator(): Ajv {
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    strict: true,
    strictTypes: false,
    strictRequired: false,
    validateFormats: false,
  })
  ajv.addKeyword({ keyword: 'identity', schemaType: 'boolean' })
  for (const keyword of ['int64', 'localFile', 'localCommand']) ajv.addKeyword({ keyword, schemaType: 'boolean' })
  return ajv
}

/** Compiles `schema`; throws an Error that says what is wrong with it. */
export function compileSchema(schema: object): ValidateFunction {
  return schemaValidator().compile(schema)
}

/** A schema as far as this project walks it. */
export interface SchemaNode {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: boolean | SchemaNode
  readonly required?: readonly string[]
  readonly enum?: readonly unknown[]
  readonly items?: SchemaNode
  readonly writeOnly?: boolean
  readonly identity?: boolean
  /** Ours: stored as a BSON long, as PBM's unsigned integers and durations are. */
  readonly int64?: boolean
  /** Ours: a path of this machine whose file is read. */
  readonly localFile?: boolean
  /** Ours: a program of this machine, and its arguments, that is run. */
  readonly localCommand?: boolean
  readonly description?: string
  readonly default?: unknown
}

/** The types a value may have by its schema, as JSON Schema names them. */
export function typesOf(schema: SchemaNode): readonly string[] {
  if (schema.type === undefined) return []
  return typeof schema.type === 'string' ? [schema.type] : schema.type
}

/** The schema of the values of a map (an object whose keys are free), `undefined` for any other schema. */
export function mapValues(schema: SchemaNode): SchemaNode | undefined {
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
}
