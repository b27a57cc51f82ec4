/** What makes an error from a code: the classes, and the functions that pass their first argument on to them. */
const MAKERS = /(?<![\w.])(?:PbmError|PluginError|failed|notBegun)\(/g
const CODE = /'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)'/g
/** A property, a union type of codes, a constant named like its code. */
const NAMED =
  /\bcode: ('[A-Z0-9_]+'(?: \| '[A-Z0-9_]+')*)|\btype \w+Code =((?:\s*\|? '[A-Z0-9_]+')+)|\bconst ([A-Z0-9_]+) = '\3'/g

/** The codes of errors in a source file. Those of the operating system (`ENOENT`) are not ours. */
export function errorCodesOf(source: string): Set<string> {
  const codes = new Set<string>()
  const add = (text: string) => {
    for (const [, code = ''] of text.matchAll(CODE)) if (!/^E[A-Z]+$/.test(code)) codes.add(code)
  }
  for (const { index, 0: call } of source.matchAll(MAKERS)) add(firstArgument(source, index + call.length))
  for (const [, property, union, constant] of source.matchAll(NAMED)) add(property ?? union ?? `'${constant}'`)
  return codes
}

/** Up to the comma or bracket that ends it; a choice between two codes is one argument. */
function firstArgument(source: string, start: number): string {
  let depth = 0
  for (let at = start; at < source.length; at++) {
    const character = source.charAt(at)
    if ('([{'.includes(character)) depth++
    else if (')]}'.includes(character) && depth-- === 0) return source.slice(start, at)
    else if (character === ',' && depth === 0) return source.slice(start, at)
  }
  return source.slice(start)
}
