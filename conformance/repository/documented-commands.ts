import { blocksOf } from './blocks.js'

/** A command as it stands in a document or a hint, split into its words; `place` is for messages. */
export interface DocumentedCommand {
  readonly place: string
  readonly words: readonly string[]
}

const PROGRAMS: readonly string[] = ['pbm', 'pbm-agent', 'npm', 'npx', 'node']

/** The commands of all blocks of `sh` in a Markdown document, each with the programs of ours, npm or Node.js. */
export function commandsInBlocks(file: string, text: string): DocumentedCommand[] {
  return blocksOf(text)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ line: fence, code }) => {
      let hereDocument: string | undefined
      return code.split('\n').flatMap((line, index) => {
        if (hereDocument !== undefined) {
          if (line.trim() === hereDocument) hereDocument = undefined
          return []
        }
        hereDocument = /<<'?(\w+)/.exec(line)?.[1]
        return commandsOf(line).map((words) => ({ place: `${file}:${fence + index + 1}`, words }))
      })
    })
}

/** What stands in backquotes in running text and begins with `pbm` and a command or flag. */
export function commandsInText(file: string, text: string): DocumentedCommand[] {
  const plain = text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, (block) => block.replaceAll(/[^\n]/g, ''))
  return [...plain.matchAll(/`(pbm(?:-agent)? [a-z-][^`]*)`/g)].flatMap(({ 1: command = '', index }) => {
    const place = `${file}:${plain.slice(0, index).split('\n').length}`
    return commandsOf(command.replaceAll(/\s+/g, ' ')).map((words) => ({ place, words }))
  })
}

/** What a message or hint in a source names with a flag. */
export function commandsInSource(file: string, text: string): DocumentedCommand[] {
  const named = /\bpbm(?: [a-z][a-z-]*){1,2}(?: [^\s'"`;,:)-][^\s'"`;,:)]*)?(?: --[a-z][a-z-]+)+/g
  return [...text.matchAll(named)].map(({ 0: command, index }) => ({
    place: `${file}:${text.slice(0, index).split('\n').length}`,
    words: command.split(' '),
  }))
}

/** The commands of one line of a shell script, without redirections and what is assigned before them. */
function commandsOf(line: string): string[][] {
  const commands: string[][] = [[]]
  // A word, quoted or not, an operator, or a comment up to the end.
  const parts =
    /\s+#.*$|(?<operator>\|\||&&|[|;&])|(?<redirection>\d?>>?|<<?)\s*\S+|(?<word>(?:'[^']*'|"[^"]*"|[^\s'"|;&<>])+)/g
  for (const { groups = {} } of line.matchAll(parts)) {
    if (groups.operator !== undefined) commands.push([])
    else if (groups.word !== undefined && !/^[A-Z_]+=/.test(groups.word))
      commands.at(-1)?.push(groups.word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'))
  }
  return commands.filter(([program]) => PROGRAMS.includes(program ?? ''))
}
