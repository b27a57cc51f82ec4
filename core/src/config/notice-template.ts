/** What a template can name, and how a notice is sent where there is none. */
export const NOTICE_FIELDS = [
  'event',
  'state',
  'subject',
  'text',
  'cluster',
  'operation',
  'name',
  'error',
  'time',
] as const

export type NoticeFields = Readonly<Record<(typeof NOTICE_FIELDS)[number], string>>

const PLACE = /\{\{\s*([^{}]*?)\s*\}\}/g

/**
 * Puts the fields into the places `{{field}}`, and does nothing else: no code, no other value. In JSON they are escaped as the
 * inside of a text.
 */
export function expandTemplate(template: string, fields: NoticeFields, isJson: boolean): string {
  return template.replaceAll(PLACE, (_place, name: string) => {
    const value = Object.hasOwn(fields, name) ? fields[name as keyof NoticeFields] : ''
    return isJson ? JSON.stringify(value).slice(1, -1) : value
  })
}

/** What is wrong with it; undefined when nothing. */
export function templateFault(template: string, isJson: boolean): string | undefined {
  for (const [, name = ''] of template.matchAll(PLACE)) {
    if (!(NOTICE_FIELDS as readonly string[]).includes(name))
      return `has {{${name.slice(0, 40)}}}; there are ${NOTICE_FIELDS.join(', ')}`
  }
  if (!isJson) return undefined
  const sample = Object.fromEntries(NOTICE_FIELDS.map((name) => [name, 'a "b"\n'])) as NoticeFields
  try {
    JSON.parse(expandTemplate(template, sample, true))
    return undefined
  } catch {
    return 'is no JSON; give another Content-Type in headers, or put each {{field}} between double quotes'
  }
}
