import type { Command } from 'commander'

/** What a shell can complete: read off the commander tree, so that it never falls behind the commands. */
export interface CommandWords {
  name: string
  aliases: string[]
  description: string
  /** Its own, and those of its subcommands. */
  options: OptionWords[]
  subcommands: string[]
}

export interface OptionWords {
  /** `--wait`, and `-w` where there is one. */
  flags: string[]
  description: string
  takesValue: boolean
  /** The only values it takes, where they are fixed. */
  choices: string[]
}

export function commandWords(program: Command): CommandWords[] {
  const visible = program.createHelp().visibleCommands(program)
  return visible.map((command) => ({
    name: command.name(),
    aliases: command.aliases(),
    description: firstLine(command.description()),
    options: [command, ...command.commands].flatMap(optionWords),
    subcommands: command.commands.map((below) => below.name()),
  }))
}

export function optionWords(command: Command): OptionWords[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map((option) => ({
      flags: [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
      description: firstLine(option.description),
      takesValue: option.required || option.optional,
      choices: option.long === '--out' ? ['text', 'json', 'json-pretty'] : [...(option.argChoices ?? [])],
    }))
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}
