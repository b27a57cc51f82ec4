import { errorText, printable, useProxies } from '@pbmkit/core'
import { commandLine } from './command-line.js'
import { hideCommandLine } from './hide-credentials.js'
import { run } from './run.js'
import { loadSettings } from './settings.js'

/** `pbm-agent`, with the exit code as the result: 0 after a clean end, 1 after any fault. */
export async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  hideCommandLine()
  const program = commandLine({
    run: async (flags) => {
      useProxies(env)
      process.exitCode = await run(await loadSettings(flags, env), { flags, env })
    },
    print: (text) => process.stdout.write(`${text}\n`),
  })
  try {
    await program.parseAsync(argv)
  } catch (error) {
    process.stderr.write(`Error: ${printable(errorText(error))}\n`)
    process.exitCode = 1
  }
}
