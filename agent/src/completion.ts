import type { Command } from 'commander'

export const SHELLS: readonly string[] = ['bash', 'zsh']

/** What makes the shell complete `pbm-agent`: its flags, its commands, and files. */
export function completionScript(shell: string, program: Command): string {
  const flags = program.options.flatMap(({ long, short }) => [long, short]).filter((flag) => typeof flag === 'string')
  const words = [...program.commands.map((command) => command.name()), ...flags].sort().join(' ')
  const bash = `complete -o default -W '${words}' ${program.name()}`
  return shell === 'bash' ? bash : `#compdef ${program.name()}\nautoload -U +X bashcompinit && bashcompinit\n${bash}`
}
