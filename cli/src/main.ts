import { setTimeout as delay } from 'node:timers/promises'
import { printable, printableJson, useProxies } from '@pbmkit/core'
import { type Command, CommanderError } from 'commander'
import { withoutBooleanValues } from './boolean-values.js'
import { EXIT, errorReport, exitCodeOf, usageError } from './errors.js'
import { installedCompressions } from './installed-compressions.js'
import type { Io } from './io.js'
import { coloursFor } from './output/colour.js'
import { type Format, Output } from './output/output.js'
import { buildProgram } from './program.js'
import { Session } from './session.js'
import { withSubcommands } from './subcommands.js'

/** How long a command may take to say something itself after Ctrl-C. */
const LAST_WORDS_MS = 2000

/** Runs one command line and resolves to the exit code. Every error is told here, in the form the user asked for. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  let opened: Session | undefined
  const compressions = await installedCompressions(args, io.env)
  const program = buildProgram(async (command, body) => {
    const session = new Session(io, command.optsWithGlobals())
    opened = session
    try {
      useProxies(io.env)
      const ignored = command.args.slice(command.registeredArguments.length)
      if (ignored.length > 0)
        session.output.warn(`ignored, since ${pathOf(command)} takes no more: ${ignored.join(' ')}`)
      await body(session)
    } finally {
      await session.close()
    }
  }, compressions)
  let asked = program
  let said = ''
  for (const command of withSubcommands(program))
    command.exitOverride().configureOutput({
      writeOut: (text) => {
        said += text
      },
      // Commander's errors arrive as exceptions and are told below like all others; this is help for who named too little.
      writeErr: () => {
        asked = command
      },
      outputError: () => undefined,
    })

  try {
    const running = program
      .parseAsync(withoutBooleanValues(program, args), { from: 'user' })
      .then(() => opened?.exitCode ?? EXIT.done)
    return await Promise.race([running, interrupted(io.signal, () => opened?.finishFirst === true)])
  } catch (error) {
    if (isAnswer(error)) {
      // `pbm` alone, as `pbm key`, asks for help but is still a command line without a command.
      if (error.exitCode === 0) answer(said, error, args, io)
      else if (formatOf(args) === 'text') io.stderr.write(asked.helpInformation())
      else tell(usageError('no command is given', `See ${pathOf(asked)} --help.`), args, io)
      return exitCodeOf(error)
    }
    tell(error, args, io)
    return exitCodeOf(error)
  }
}

/** As people type it: `pbm key`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

/** A command that is not waiting for anything of its own (it may be connecting) ends by itself soon after Ctrl-C. */
async function interrupted(signal: AbortSignal, mustFinish: () => boolean): Promise<number> {
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  do await delay(LAST_WORDS_MS, undefined, { ref: false })
  while (mustFinish())
  return EXIT.interrupted
}

const VERSION_TOLD = 'commander.version'

/** Commander ends `--help`, `--version` and a command line without a command by throwing. */
function isAnswer(error: unknown): error is CommanderError {
  const codes = ['commander.help', 'commander.helpDisplayed', VERSION_TOLD]
  return error instanceof CommanderError && codes.includes(error.code)
}

/** Help is text in any format; the version is a result like that of `pbm version --short`. */
function answer(said: string, { code }: CommanderError, args: readonly string[], io: Io): void {
  if (code !== VERSION_TOLD) io.stdout.write(said)
  else new Output(formatOf(args), io.stdout, io.stderr, io.env).result({ Version: said.trim() }, () => said.trim())
}

function tell(error: unknown, args: readonly string[], io: Io): void {
  const report = errorReport(error)
  const format = formatOf(args)
  if (format !== 'text') {
    const json = JSON.stringify(report, undefined, format === 'json-pretty' ? 2 : undefined)
    io.stdout.write(`${printableJson(json)}\n`)
    return
  }
  const { bad, quiet } = coloursFor(io.stderr, io.env)
  // Read without it: the message of a wrong command line says all.
  const code = report.code === 'USAGE' || report.code === 'ERROR' ? '' : quiet(` [${report.code}]`)
  io.stderr.write(`${bad('Error:')} ${printable(report.Error)}${code}\n`)
  if (report.hint !== undefined) io.stderr.write(`${printable(report.hint)}\n`)
}

/** The output format even where the command line could not be parsed: a script wants JSON of that error most of all. */
function formatOf(args: readonly string[]): Format {
  const found = args.flatMap((arg, index) => {
    if (arg === '-o' || arg === '--out') return [args[index + 1]]
    const joined = /^(?:-o=?|--out=)(.+)$/.exec(arg)
    return joined === null ? [] : [joined[1]]
  })
  const last = found.at(-1)
  return last === 'json' || last === 'json-pretty' ? last : 'text'
}
