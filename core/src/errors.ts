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
    const text = current instanceof Error ? current.message : String(current)
    if (text !== '' && !parts.some((part) => part.includes(text))) parts.push(text)
    const hint = (current as { hint?: unknown }).hint
    if (typeof hint === 'string' && !parts.some((part) => part.includes(hint))) parts.push(hint)
    current = current instanceof Error ? current.cause : undefined
  }
  return parts.join(': ')
}
