/** What makes an error from a code: the classes, and the functions that pass their first argument on to them. */
const MAKERS = /(?<![\w.])(?:PbmError|PluginError|failed|notBegun)\(/g
const CODE = /'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)'/g
/** A property, a union type of codes, a constant named like its code. */
const NAMED =
  /\bcode: ('[A-Z0-9_]+'(?: \| '[A-Z0-9_]+')*)|\btype \w+Code =((?:\s*\|? '[A-Z0-9_]+')+)|\bconst ([A-Z0-9_]+) = '\3'/g

/**
 * The codes of errors in a source file, each with the messages that it is thrown with there; `…` stands for what a message
 * is filled with. Codes of the operating system (`ENOENT`) are not ours.
 */
export function errorCodesOf(source: string): Map<string, Set<string>> {
  const codes = new Map<string, Set<string>>()
  const add = (text: string, messages: readonly string[] = []) => {
    for (const [, code = ''] of text.matchAll(CODE)) {
      if (/^E[A-Z]+$/.test(code)) continue
      codes.set(code, new Set([...(codes.get(code) ?? []), ...messages]))
    }
  }
  for (const { index, 0: call } of source.matchAll(MAKERS)) {
    const [code = '', message = ''] = argumentsFrom(source, index + call.length)
    add(code, literalsOf(message))
  }
  for (const match of source.matchAll(NAMED)) {
    const [all, property, union, constant] = match
    const [, what] =
      /^,\s*(?:what|text): /.exec(source.slice(match.index + all.length)) === null
        ? []
        : argumentsFrom(source, match.index + all.length)
    add(property ?? union ?? `'${constant}'`, literalsOf(what ?? ''))
  }
  return codes
}

/** The arguments of a call, from behind its opening bracket. */
function argumentsFrom(source: string, start: number): string[] {
  const found: string[] = []
  let depth = 0
  let begin = start
  for (let at = start; at < source.length; at++) {
    const character = source.charAt(at)
    if (`'"\``.includes(character)) at = endOfLiteral(source, at)
    else if ('([{'.includes(character)) depth++
    else if (')]}'.includes(character) && depth-- === 0) return [...found, source.slice(begin, at)]
    else if (character === ',' && depth === 0) {
      found.push(source.slice(begin, at))
      begin = at + 1
    }
  }
  return found
}

/** Where the string or template ends that begins at `start`; templates may hold others. */
function endOfLiteral(source: string, start: number): number {
  const quote = source.charAt(start)
  for (let at = start + 1; at < source.length; at++) {
    if (source.charAt(at) === '\\') at++
    else if (source.charAt(at) === quote) return at
    else if (quote === '`' && source.startsWith('${', at)) at = endOfHole(source, at + 2)
  }
  return source.length
}

function endOfHole(source: string, start: number): number {
  let depth = 0
  for (let at = start; at < source.length; at++) {
    const character = source.charAt(at)
    if (`'"\``.includes(character)) at = endOfLiteral(source, at)
    else if (character === '{') depth++
    else if (character === '}' && depth-- === 0) return at
  }
  return source.length
}

/** The texts of an expression: of a choice both. */
function literalsOf(expression: string): string[] {
  const texts: string[] = []
  for (let at = 0; at < expression.length; at++) {
    if (!`'"\``.includes(expression.charAt(at))) continue
    const end = endOfLiteral(expression, at)
    texts.push(withoutHoles(expression.slice(at + 1, end)))
    at = end
  }
  // What has fewer words is part of a condition, or says nothing by itself.
  return texts.filter((text) => (text.match(/[a-z]{3,}/gi)?.length ?? 0) > 1)
}

function withoutHoles(template: string): string {
  let text = ''
  for (let at = 0; at < template.length; at++) {
    if (template.startsWith('${', at)) {
      text += '…'
      at = endOfHole(template, at + 2)
    } else if (template.charAt(at) === '\\') text += template.charAt(++at) === 'n' ? ' ' : template.charAt(at)
    else text += template.charAt(at)
  }
  return text.replaceAll(/\s+/g, ' ').trim()
}

/** A heading for each code, with the messages below the text that a person wrote. */
export function withMessages(markdown: string, messagesOf: ReadonlyMap<string, ReadonlySet<string>>): string {
  const [head = '', ...sections] = markdown.replaceAll(/^- `.*`\n/gm, '').split(/^(?=### )/m)
  const written = sections.map((section) => {
    const code = /^### (\S+)/.exec(section)?.[1] ?? ''
    const messages = [...(messagesOf.get(code) ?? [])].sort()
    const [, text = section, rest = ''] = /^(### .+?)\n*((?:\n## [\s\S]*)?)$/s.exec(section) ?? []
    const list =
      messages.length === 0
        ? ''
        : `\n\n${messages.map((message) => `- \`${message.replaceAll('`', "'")}\``).join('\n')}`
    return `${text.trimEnd()}${list}\n${rest === '' ? '\n' : `\n${rest.trimStart()}`}`
  })
  return `${head}${written.join('')}`.trimEnd().concat('\n')
}
