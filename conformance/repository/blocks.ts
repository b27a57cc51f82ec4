/** A fenced block of a Markdown document. */
export interface Block {
  readonly language: string
  /** Of the fence, from 1. */
  readonly line: number
  /** Without the margin that a list gives it. */
  readonly code: string
  /** Says above it that it is run: see examples.ts. */
  readonly isRun: boolean
}

export function blocksOf(text: string): Block[] {
  const blocks: Block[] = []
  const lines = text.split('\n')
  let above = ''
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    const { margin, language = '' } = /^(?<margin> {0,3})```(?<language>\w*)$/.exec(line)?.groups ?? {}
    if (margin === undefined) {
      if (line.trim() !== '') above = line.trim()
      continue
    }
    const end = lines.indexOf(`${margin}\`\`\``, at + 1)
    const code = lines.slice(at + 1, end).map((text) => text.slice(margin.length))
    blocks.push({ language, line: at + 1, code: code.join('\n'), isRun: above.startsWith('<!-- test:') })
    at = end
    above = ''
  }
  return blocks
}
