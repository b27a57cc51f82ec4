import { createRequire } from 'node:module'
import { buildFacts, buildText } from '@pbmkit/core'
import { Command } from 'commander'
import type { Run } from '../session.js'

/** Of this package. */
export const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

/** `pbm version`: needs no MongoDB. */
export function versionCommand(run: Run): Command {
  return new Command('version')
    .description('print the version')
    .option('-s, --short', 'only the version number')
    .option('-c, --commit', 'only the commit it was built from; empty where that is not known')
    .action((options: { short?: boolean; commit?: boolean }, command: Command) =>
      run(command, async ({ output }) => {
        const facts = { ...buildFacts(), Version: version }
        const { GitCommit } = facts
        if (options.short === true) output.result({ Version: version }, () => version)
        else if (options.commit === true) output.result({ GitCommit }, () => GitCommit)
        else output.result(facts, () => buildText(facts))
      }),
    )
}
