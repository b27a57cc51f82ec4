import { stringify } from 'yaml'

/** A document as YAML for people: `undefined` fields are left out, long strings stay on their line. */
export function yamlText(value: unknown): string {
  return stringify(value, { lineWidth: 0, keepUndefined: false }).trimEnd()
}
