import type { CommandWords, OptionWords } from './words.js'

/** A `#compdef` file for a folder of `$fpath`; sourcing it works too, after `compinit`. */
export function zshCompletion(commands: readonly CommandWords[], globals: readonly OptionWords[]): string {
  const described = commands.map(({ name, description }) => `    ${quoted(`${escaped(name)}:${description}`)}`)
  const cases = commands.map(({ name, aliases, options, subcommands }) => {
    const specs = [...options, ...globals].flatMap(optionSpecs)
    return `      ${[name, ...aliases].join('|')})
        _arguments ${[...specs, argumentSpec(name, subcommands)].join(' \\\n          ')} ;;`
  })
  return `#compdef pbm
# zsh completion of pbm: save it as _pbm in a folder of $fpath
_pbm_backups() {
  local -a names
  names=(\${(f)"$(pbm list --names 2>/dev/null)"})
  compadd -a names
}
_pbm() {
  local context state line
  local -a commands
  commands=(
${described.join('\n')}
  )
  _arguments -C ${globals.flatMap(optionSpecs).join(' \\\n    ')} \\
    '1: :->command' '*:: :->arguments'
  case $state in
    command) _describe 'command' commands ;;
    arguments)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}
if [[ $funcstack[1] == _pbm ]]; then _pbm "$@"; else compdef _pbm pbm; fi
`
}

function argumentSpec(command: string, subcommands: readonly string[]): string {
  if (subcommands.length > 0) return `'1:command:(${subcommands.join(' ')})'`
  if (['restore', 'describe-backup', 'delete-backup'].includes(command)) return "'1:backup:_pbm_backups'"
  if (command === 'completion') return "'1:shell:(bash zsh fish)'"
  return "'*: :'"
}

function optionSpecs({ flags, description, takesValue, choices }: OptionWords): string[] {
  const value = takesValue ? `:value:${choices.length > 0 ? `(${choices.join(' ')})` : '_files'}` : ''
  return flags.map((flag) => quoted(`${flag}[${description.replace(/[[\]]/g, '')}]${value}`))
}

function escaped(text: string): string {
  return text.replace(/:/g, '\\:')
}

function quoted(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`
}
