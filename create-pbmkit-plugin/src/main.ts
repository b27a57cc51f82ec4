import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { isKind, KINDS, type Kind, packageNameOf, scaffold, whyBadName, whyBadScope } from './scaffold.js'

export interface Io {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly cwd: string
}

const USAGE = `Usage: npm create pbmkit-plugin -- [kind] [name] [options]

  kind              ${KINDS.join(', ')}
  name              what the configuration will call it: storage.type, backup.compression, encryption.type

  --scope <@scope>  the package is @scope/pbmkit-<kind>-<name> instead of pbmkit-<kind>-<name>
  --dir <folder>    where to put it; default: a folder called like the package
  --help            this text

What is missing is asked for on a terminal.
`

class UsageError extends Error {}

/** Runs one command line and resolves to the exit code: 0, or 2 for a wrong command line, or 1 for any other failure. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  try {
    const { values, positionals } = parse(args)
    if (values.help === true) {
      io.stdout.write(USAGE)
      return 0
    }
    const [givenKind, givenName, ...more] = positionals
    if (more.length > 0) throw new UsageError(`too many arguments: ${more.join(' ')}`)
    const kind = await kindOf(givenKind, io)
    const name = await nameOf(kind, givenName, io)
    const reason = values.scope === undefined ? undefined : whyBadScope(values.scope)
    if (reason !== undefined) throw new UsageError(`'${values.scope}' can't be the scope: ${reason}`)
    const packageName = packageNameOf(kind, name, values.scope)
    const folder = resolve(io.cwd, values.dir ?? packageName.split('/').at(-1) ?? packageName)
    await scaffold({ kind, name, packageName, folder })
    io.stdout.write(
      `${packageName} is in ${folder}\n\n  cd ${folder}\n  npm install\n  npm test\n\nREADME.md says what to do next.\n`,
    )
    return 0
  } catch (error) {
    const isUsage = error instanceof UsageError
    io.stderr.write(`Error: ${error instanceof Error ? error.message : String(error)}\n${isUsage ? `\n${USAGE}` : ''}`)
    return isUsage ? 2 : 1
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { scope: { type: 'string' }, dir: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

async function kindOf(given: string | undefined, io: Io): Promise<Kind> {
  const kind = given ?? (await ask(`What kind of plugin (${KINDS.join(', ')})?`, 'a kind', io))
  if (isKind(kind)) return kind
  throw new UsageError(`'${kind}' is no kind of plugin`)
}

async function nameOf(kind: Kind, given: string | undefined, io: Io): Promise<string> {
  const name = given ?? (await ask('What is it called?', 'a name', io))
  const reason = whyBadName(kind, name)
  if (reason !== undefined) throw new UsageError(`'${name}' can't be the name: ${reason}`)
  return name
}

async function ask(question: string, what: string, { stdin, stdout }: Io): Promise<string> {
  if (stdin.isTTY !== true) throw new UsageError(`${what} is missing`)
  const lines = createInterface({ input: stdin, output: stdout })
  try {
    return (await lines.question(`${question} `)).trim()
  } finally {
    lines.close()
  }
}
