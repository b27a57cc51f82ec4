import { type SchemaNode, typesOf } from './schema.js'

/** Unknown keys must be refused at every level: an object says which keys it takes, or what the values of a map are. */
export function openObjects(schema: SchemaNode, path: string): string[] {
  const faults: string[] = []
  if (typesOf(schema).includes('object')) {
    const rest = schema.additionalProperties
    if (rest === undefined || rest === true) faults.push(`${path} needs additionalProperties: false`)
    else if (typeof rest === 'object') faults.push(...openObjects(rest, `${path}.additionalProperties`))
    for (const [key, child] of Object.entries(schema.properties ?? {}))
      faults.push(...openObjects(child, `${path}.${key}`))
  }
  if (schema.items !== undefined) faults.push(...openObjects(schema.items, `${path}.items`))
  return faults
}

/** They describe values at places that masking does not look for. */
const UNSEEN = ['$ref', 'patternProperties', 'prefixItems', 'additionalItems']

/** Schemas that a value has to fit besides its own. */
const BRANCHES = ['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'contains', 'dependencies', 'propertyNames']

/**
 * What would keep secrets from being recognised: masking follows `properties`, `items` and `additionalProperties`, and
 * nothing else. Branches may say which values are allowed, but not which are secret.
 */
export function opaqueParts(schema: unknown, path: string, inBranch = false): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const node = schema as Readonly<Record<string, unknown>>
  const faults = UNSEEN.filter((keyword) => node[keyword] !== undefined).map((keyword) => blind(path, keyword))
  if (inBranch && node.writeOnly !== undefined)
    faults.push(`${path} has writeOnly, which only counts outside of branches`)
  const inside = (child: unknown, name: string, branch = inBranch) =>
    faults.push(...opaqueParts(child, `${path}.${name}`, branch))
  if (Array.isArray(node.items)) faults.push(blind(path, 'a list as items'))
  else inside(node.items, 'items')
  inside(node.additionalProperties, 'additionalProperties')
  for (const [key, child] of Object.entries(node.properties ?? {})) inside(child, key)
  for (const keyword of BRANCHES.filter((each) => node[each] !== undefined)) {
    for (const branch of branchesOf(keyword, node[keyword])) inside(branch, keyword, true)
  }
  return faults
}

function branchesOf(keyword: string, value: unknown): unknown[] {
  return Array.isArray(value) || keyword === 'dependencies' ? Object.values(value as object) : [value]
}

function blind(path: string, keyword: string): string {
  return `${path} has ${keyword}, through which secrets can't be recognised`
}
