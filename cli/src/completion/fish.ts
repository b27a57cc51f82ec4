import type { CommandWords, OptionWords } from './words.js'

/** One `complete` line an option, for `~/.config/fish/completions/pbm.fish`. */
export function fishCompletion(commands: readonly CommandWords[], globals: readonly OptionWords[]): string {
  const names = commands.flatMap(({ name, aliases }) => [name, ...aliases])
  const lines = [
    '# fish completion of pbm: save it as ~/.config/fish/completions/pbm.fish',
    'complete -c pbm -f',
    ...globals.map((option) => `complete -c pbm ${optionPart(option)}`),
  ]
  for (const { name, aliases, description, options, subcommands } of commands) {
    lines.push(
      `complete -c pbm -n ${quoted(`not __fish_seen_subcommand_from ${names.join(' ')}`)} -a ${name} -d ${quoted(description)}`,
    )
    const seen = quoted(`__fish_seen_subcommand_from ${[name, ...aliases].join(' ')}`)
    for (const option of options) lines.push(`complete -c pbm -n ${seen} ${optionPart(option)}`)
    if (['restore', 'describe-backup', 'delete-backup'].includes(name))
      lines.push(`complete -c pbm -n ${seen} -a '(pbm list --names 2>/dev/null)'`)
    if (subcommands.length > 0) lines.push(`complete -c pbm -n ${seen} -a ${quoted(subcommands.join(' '))}`)
    if (name === 'completion') lines.push(`complete -c pbm -n ${seen} -a 'bash zsh fish'`)
  }
  return `${lines.join('\n')}\n`
}

function optionPart({ flags, description, takesValue, choices }: OptionWords): string {
  const parts = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
  // -x, unlike -r, offers no names of files beside the choices.
  if (flags.includes('--file') || flags.includes('--plugin-dir')) parts.push('-r -F')
  else if (takesValue) parts.push('-x')
  if (choices.length > 0) parts.push(`-a ${quoted(choices.join(' '))}`)
  return `${parts.join(' ')} -d ${quoted(description)}`
}

function quoted(text: string): string {
  return `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`
}
