import { Argument, Command } from 'commander'
import { bashCompletion } from '../completion/bash.js'
import { fishCompletion } from '../completion/fish.js'
import { commandWords, optionWords } from '../completion/words.js'
import { zshCompletion } from '../completion/zsh.js'
import type { Run } from '../session.js'

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const

/** `pbm completion bash|zsh|fish`: a script on standard output, whatever `--out` says; needs no MongoDB. */
export function completionCommand(run: Run, program: () => Command): Command {
  return new Command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(Object.keys(SHELLS)))
    .action((shell: keyof typeof SHELLS, _options: unknown, command: Command) =>
      run(command, async ({ io }) => {
        io.stdout.write(SHELLS[shell](commandWords(program()), optionWords(program())))
      }),
    )
}
