/** One place in `docs/reference` that a comment rests on. */
export interface Citation {
  /** Name of the file, such as `control-plane.md`. */
  readonly file: string
  /** Number of the section (`5.1`), or a title without number (`Terms`). */
  readonly section: string
  /** Steps of the section (`4`) or a heading or bold words in it (`Catch-up`). */
  readonly parts: readonly string[]
}

// After the mark: `a.md §5.1, §5.3, step 4`; `a.md §3, b.md §7, Word`; `a.md, Terms`.
const PART = String.raw`steps? \d+(?: (?:to|and) \d+)?|[A-Z][\w-]*(?: [a-z]+)*`
const SECTION = String.raw`§\d+(?:\.\d+)?(?:, (?:${PART}))?`
const PLACE = String.raw`[a-z-]+\.md(?: ${SECTION}(?:, ${SECTION})*|, [A-Z][a-z]+)`
const CITATION = new RegExp(`PBM: (${PLACE}(?:, ${PLACE})*)(?=[).;](?!\\w))`, 'y')

/**
 * What the comments of a source file cite.
 *
 * @throws Error on a citation of another form
 */
export function citationsOf(source: string): Citation[] {
  // A citation may go on in the next line of its comment.
  const text = source.replaceAll(/\s*\n\s*(?:\*(?!\/)|\/\/)?\s*/g, ' ')
  // Elsewhere `PBM:` is a word of a sentence.
  return [...text.matchAll(/(?<=\()PBM:|PBM: (?=[a-z-]+\.md)/g)].flatMap(({ index }) => {
    CITATION.lastIndex = index
    const places = CITATION.exec(text)?.[1]
    if (places === undefined)
      throw new Error(`write file.md §1.2, step 3 and a bracket in ${text.slice(index, index + 60)}`)
    return [...places.matchAll(new RegExp(PLACE, 'g'))].flatMap(([place]) => citationsOfPlace(place))
  })
}

function citationsOfPlace(place: string): Citation[] {
  const [file = ''] = place.split(/[ ,]/, 1)
  const rest = place.slice(file.length)
  if (rest.startsWith(', ')) return [{ file, section: rest.slice(2), parts: [] }]
  return [...rest.matchAll(new RegExp(SECTION, 'g'))].map(([text]) => {
    const [section = '', part] = text.slice(1).split(', ')
    const steps = part?.match(/\d+/g)
    return { file, section, parts: steps ?? (part === undefined ? [] : [part]) }
  })
}

/** Why a citation leads nowhere; undefined when it is found in the text of its file. */
export function unresolved({ file, section, parts }: Citation, reference: string | undefined): string | undefined {
  if (reference === undefined) return `there is no docs/reference/${file}`
  const text = sectionText(reference, section)
  if (text === undefined) return `${file} has no section ${section}`
  const missing = parts.find((part) => !(/^\d+$/.test(part) ? hasStep(text, part) : hasTitle(text, part)))
  return missing === undefined ? undefined : `${file} §${section} has no ${missing}`
}

/** From the section's heading to the next with a number or of the same rank. */
function sectionText(reference: string, section: string): string | undefined {
  const [before, ...rest] = reference.split(/^(?=#{2,3} )/m)
  if (before === undefined) return undefined
  const isNumber = /^\d/.test(section)
  const start = rest.findIndex((text) =>
    isNumber ? new RegExp(`^#+ ${section.replace('.', '\\.')}[. ]`).test(text) : text.startsWith(`## ${section}\n`),
  )
  if (start < 0) return undefined
  // What has a number below this one (§5 with its §5.1) belongs to it too.
  const end = rest.findIndex(
    (text, index) => index > start && (text.startsWith('## ') || (section.includes('.') && /^### \d/.test(text))),
  )
  return rest.slice(start, end < 0 ? undefined : end).join('')
}

function hasStep(text: string, step: string): boolean {
  return new RegExp(String.raw`^(?:${step}\. |\| ${step} \|)`, 'm').test(text)
}

function hasTitle(text: string, title: string): boolean {
  return new RegExp(String.raw`^(?:### |.*\*\*)${title}\b`, 'm').test(text)
}
