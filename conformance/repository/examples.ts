/** What an example needs around it; see CONTRIBUTING.md, 'Examples that are tested'. */
export type ExampleNeed = 'replset' | 'agent' | StorageNeed
/** A server of this kind of storage, whose options stand in for those of the example. */
export type StorageNeed = 'azure' | 'gcs' | 's3' | 'sftp'

export interface Example {
  readonly file: string
  /** Blocks of one file with the same name are one program, run top to bottom. */
  readonly name: string
  readonly language: 'sh' | 'js' | 'ts'
  readonly needs: readonly ExampleNeed[]
  readonly code: string
  /** Of the first block, from 1. */
  readonly line: number
}

const MARK = /^<!-- test: (?<name>[^,]+?)(?:, needs: (?<needs>[a-z0-9 ]+))? -->$/
const FENCE = /^```(?<language>\w*)$/
const NEEDS: readonly string[] = ['replset', 'agent', 'azure', 'gcs', 's3', 'sftp'] satisfies ExampleNeed[]
const LANGUAGES: Readonly<Record<string, Example['language']>> = { sh: 'sh', js: 'js', ts: 'ts' }

/**
 * The examples of a Markdown document that say they are tested: fenced blocks right below
 * `<!-- test: name -->` or `<!-- test: name, needs: replset agent -->`.
 *
 * @throws Error on a mark that is misspelt, or that no block of a known language follows
 */
export function extractExamples(file: string, text: string): Example[] {
  const examples = new Map<string, Example>()
  const lines = text.split('\n')
  for (const [index, indented] of lines.entries()) {
    const line = indented.trimStart()
    if (!line.startsWith('<!-- test')) continue
    // In a list both the mark and the block are indented. From four spaces on it is itself an example of a mark.
    const margin = indented.slice(0, indented.length - line.length)
    if (margin.length > 3) continue
    const place = `${file}:${index + 1}`
    const { name, needs = '' } = MARK.exec(line.trimEnd())?.groups ?? {}
    if (name === undefined)
      throw new Error(`${place}: write <!-- test: name --> or <!-- test: name, needs: replset -->`)
    const start = lines.findIndex((next, at) => at > index && next !== '')
    const language = LANGUAGES[FENCE.exec(lines[start]?.slice(margin.length) ?? '')?.groups?.language ?? '']
    const end = lines.indexOf(`${margin}\`\`\``, start + 1)
    if (language === undefined || end < 0) throw new Error(`${place}: a block of sh, js or ts has to follow`)
    const block = lines.slice(start + 1, end).map((text) => text.slice(margin.length))
    const code = `${block.join('\n')}\n`
    const before = examples.get(name)
    examples.set(name, {
      file,
      name,
      language,
      needs: before?.needs ?? needs.split(' ').filter(isNeed),
      code: (before?.code ?? '') + code,
      line: before?.line ?? index + 1,
    })
    const unknown = needs.split(' ').filter((need) => need !== '' && !isNeed(need))
    if (unknown.length > 0) throw new Error(`${place}: unknown need: ${unknown.join(', ')}`)
  }
  return [...examples.values()]
}

export interface Stage {
  /** Stands in for every `mongodb://…` of the example. */
  readonly uri: string
  /** Stands in for `/backups`. */
  readonly backups: string
  /** Stands in for `/etc/pbm/keys`. */
  readonly keys: string
  /** Stand in for what `const options = {…}` is in the example. */
  readonly options?: object
}

const OPTIONS = /^const options = \{.*\}$/m

/** Puts the test's own server and folder where the example has made-up ones. */
export function fitToStage(code: string, stage: Stage): string {
  const { options } = stage
  return (options === undefined ? code : code.replace(OPTIONS, () => `const options = ${JSON.stringify(options)}`))
    .replaceAll(/mongodb:\/\/[^\s'"`]+/g, () => stage.uri)
    .replaceAll(/(?<![\w/.-])\/backups\b/g, () => stage.backups)
    .replaceAll(/(?<![\w/.-])\/etc\/pbm\/keys\b/g, () => stage.keys)
    .replaceAll(/\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/g, () => '$(newest_restore)')
    .replaceAll(/\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, () => '$(newest_backup)')
    .replaceAll(/(?<=--time )20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?![.\dZ])/g, () => '$(newest_time)')
}

function isNeed(text: string): text is ExampleNeed {
  return NEEDS.includes(text)
}
