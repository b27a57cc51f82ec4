import type { CommandWords, OptionWords } from './words.js'

/** A bash function and its registration; needs no bash-completion package. Names of backups come from `pbm list`. */
export function bashCompletion(commands: readonly CommandWords[], globals: readonly OptionWords[]): string {
  const names = commands.flatMap(({ name, aliases }) => [name, ...aliases])
  const cases = commands.map(
    ({ name, aliases, options }) =>
      `    ${[name, ...aliases].join('|')}) options="${options.flatMap(({ flags }) => flags).join(' ')}" ;;`,
  )
  const choices = [...globals, ...commands.flatMap(({ options }) => options)]
    .filter((option) => option.choices.length > 0)
    .map(
      ({ flags, choices }) =>
        `    ${flags.join('|')}) COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$word")); return ;;`,
    )
  const subcommands = commands
    .filter((command) => command.subcommands.length > 0)
    .map(
      ({ name, subcommands }) =>
        `  elif [[ "$command" == ${name} ]]; then\n    COMPREPLY=($(compgen -W "${subcommands.join(' ')}" -- "$word"))\n`,
    )
  return `# bash completion of pbm: source it, or save it as /etc/bash_completion.d/pbm
_pbm() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command="" options="" i
  COMPREPLY=()
  case "$previous" in
${[...new Set(choices)].join('\n')}
    --file|--plugin-dir) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case " ${names.join(' ')} " in
      *" \${COMP_WORDS[i]} "*) command="\${COMP_WORDS[i]}"; break ;;
    esac
  done
  case "$command" in
${cases.join('\n')}
    "") options="${names.join(' ')}" ;;
  esac
  if [[ "$word" == -* || -z "$command" ]]; then
    COMPREPLY=($(compgen -W "$options ${globals.flatMap(({ flags }) => flags).join(' ')}" -- "$word"))
  elif [[ "$command" == completion ]]; then
    COMPREPLY=($(compgen -W "bash zsh fish" -- "$word"))
${subcommands.join('')}  elif [[ "$command" =~ ^(restore|describe-backup|delete-backup)$ ]]; then
    # Readline breaks words at the colons of a backup's name: complete the whole and give back the last piece.
    local typed="\${COMP_LINE:0:COMP_POINT}"
    typed="\${typed##* }"
    COMPREPLY=($(compgen -W "$(pbm list --names 2>/dev/null)" -- "$typed"))
    if [[ "$typed" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
      COMPREPLY=("\${COMPREPLY[@]#"\${typed%"\${typed##*:}"}"}")
    fi
  fi
}
complete -F _pbm pbm
`
}
