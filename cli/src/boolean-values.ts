import type { Command, Option } from 'commander'
import { usageError } from './errors.js'

/** What Go's `ParseBool` takes, which reads the flags of PBM. */
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False'])

/**
 * The command line with `--wait=true` and `-w=true` as `--wait`, and without what is `=false`, as PBM takes both: scripts
 * that tools write have this form. As there, the last of several counts. Throws USAGE for another value.
 */
export function withoutBooleanValues(program: Command, args: readonly string[]): string[] {
  const switches = switchesOf(program)
  const answers = answersOf(program, args)
  const taken: string[] = []
  for (const [index, arg] of args.entries()) {
    if (arg === '--') return [...taken, ...args.slice(index)]
    const [, flag = '', value = ''] = /^(--?[a-z][a-z-]*)=(.*)$/s.exec(arg) ?? []
    const names = switches.get(flag)
    if (names === undefined) taken.push(arg)
    else if (TRUE.has(value)) taken.push(flag)
    else if (FALSE.has(value)) {
      for (const name of names) while (taken.includes(name)) taken.splice(taken.indexOf(name), 1)
      // Where no is another answer than none.
      for (const name of names) if (answers.has(name)) taken.push(negated(name))
    } else throw usageError(`${flag}: '${value}' is neither true nor false`)
  }
  return taken
}

/** The flags of the command that is called which have their contrary there, too. */
function answersOf(program: Command, args: readonly string[]): Set<string> {
  const called = program.commands.find((command) => args.includes(command.name()))
  const names = called?.options.flatMap(namesOf) ?? []
  return new Set(names.filter((name) => name.startsWith('--') && names.includes(negated(name))))
}

function negated(name: string): string {
  return name.replace(/^--/, '--no-')
}

/** Flags that are a switch wherever there is one of that name, with all names of each. */
function switchesOf(program: Command): Map<string, readonly string[]> {
  const all = optionsOf(program).map((option) => ({ option, names: namesOf(option) }))
  const valued = new Set(all.filter(({ option }) => !option.isBoolean()).flatMap(({ names }) => names))
  const switches = all.filter(({ option }) => option.isBoolean())
  return new Map(
    switches.flatMap(({ names }) => names.filter((name) => !valued.has(name)).map((name) => [name, names] as const)),
  )
}

function optionsOf(command: Command): Option[] {
  return [...command.options, ...command.commands.flatMap(optionsOf)]
}

function namesOf({ long, short }: Option): string[] {
  return [long, short].filter((name) => typeof name === 'string')
}
