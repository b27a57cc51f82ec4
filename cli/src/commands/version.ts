import { createRequire } from 'node:module'
import { PBM_COMPATIBLE_VERSION } from '@pbmkit/core'
import { Command } from 'commander'
import type { Run } from '../session.js'

/** Of this package. */
export const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

/** `pbm version`: needs no MongoDB. PBM's keys where we have their values; `PBMVersion` is what we write into backups. */
export function versionCommand(run: Run): Command {
  return new Command('version')
    .description('print the version')
    .option('-s, --short', 'only the version number')
    .action((options: { short?: boolean }, command: Command) =>
      run(command, async ({ output }) => {
        if (options.short === true) {
          output.result({ Version: version }, () => version)
          return
        }
        const info = {
          Version: version,
          Platform: `${process.platform}/${process.arch}`,
          NodeVersion: process.version,
          PBMVersion: PBM_COMPATIBLE_VERSION,
        }
        output.result(info, () =>
          [
            `Version:     ${info.Version} (pbmkit)`,
            `Platform:    ${info.Platform}`,
            `Node:        ${info.NodeVersion}`,
            `Compatible:  PBM ${info.PBMVersion}`,
          ].join('\n'),
        )
      }),
    )
}
