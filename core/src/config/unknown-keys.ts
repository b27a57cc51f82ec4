import type { SchemaNode } from '../plugin-host/schema.js'
import { nearest } from '../similar-words.js'

/** Names the key that was probably meant, or the place where this one belongs. */
export function unknownKey(
  path: readonly string[],
  known: readonly string[],
  root: SchemaNode,
): { path: readonly string[]; text: string; unknownKey: true } {
  const key = path.at(-1) ?? ''
  const near = nearest(key, known)
  const elsewhere = pathsOf(root, key).filter((place) => place.join('.') !== path.join('.'))
  let advice = known.length > 0 && known.length <= 12 ? `; known here: ${known.join(', ')}` : ''
  if (near !== undefined) advice = `; did you mean ${near}?`
  else if (elsewhere.length > 0 && elsewhere.length <= 3)
    advice = `; it belongs at ${elsewhere.map((place) => place.join('.')).join(' or ')}`
  return { path, text: `unknown key${advice}`, unknownKey: true }
}

/** Every place at which a schema has `key`. */
function pathsOf(schema: SchemaNode, key: string, at: readonly string[] = []): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => [
    ...(name === key ? [[...at, name]] : []),
    ...pathsOf(child, key, [...at, name]),
  ])
}
