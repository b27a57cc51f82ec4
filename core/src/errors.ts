/**
 * An error meant for a person: what went wrong and where in `message`, and what to do in `hint`.
 * `code` is stable and is what scripts and tests compare.
 */
export class PbmError extends Error {
  readonly code: string
  readonly hint: string | undefined

  constructor(code: string, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'PbmError'
    this.code = code
    this.hint = options.hint
  }
}

/** One line for logs and control collections: the message, the hint and those of the causes, each once. */
export function errorText(error: unknown): string {
  const parts: string[] = []
  for (let current: unknown = error; current !== undefined && current !== null; ) {
    const text = messageOf(current)
    if (text !== '' && !parts.some((part) => part.includes(text))) parts.push(text)
    const hint = (current as { hint?: unknown }).hint
    if (typeof hint === 'string' && !parts.some((part) => part.includes(hint))) parts.push(hint)
    current = current instanceof Error ? current.cause : undefined
  }
  return parts.join(': ')
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return SERVER_ERROR.test(error.name) ? withoutDocuments(error.message) : error.message
}

/** What the driver calls errors whose words are the server's. */
const SERVER_ERROR = /^Mongo(?:Server|BulkWrite|WriteConcern)Error$/
/** Where servers quote one value of a document without braces around it. */
const QUOTED = /((?:First element|override unsupported|Failed to parse number|Unsupported conversion)[^:]*: ).*/s

/**
 * A message of the server without the documents and keys it quotes: whoever may read a log need not be allowed to read the
 * data. What stands in braces goes, and where what follows may still be a part of it, the rest.
 */
export function withoutDocuments(message: string): string {
  const begin = message.indexOf('{')
  const end = message.lastIndexOf('}')
  const quoted =
    begin < 0 ? message : `${message.slice(0, begin)}{…}${end < begin ? '' : plainRest(message.slice(end + 1))}`
  return quoted.replace(QUOTED, '$1…')
}

/** Where a text was cut off, its last brace may be one of the data. */
function plainRest(rest: string): string {
  return /["']|\.\.\.|…/.test(rest) ? ' …' : rest
}
