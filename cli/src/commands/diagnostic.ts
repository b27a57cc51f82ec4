import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorText, PbmError, rfc3339 } from '@pbmkit/core'
import { Command } from 'commander'
import { zipSync } from 'fflate'
import { collectReport, type Report } from '../diagnostic/collect.js'
import { usageError } from '../errors.js'
import type { Run, Session } from '../session.js'

interface DiagnosticOptions {
  path?: string
  name?: string
  opid?: string
  archive?: boolean
}

/** `pbm diagnostic`: what a report of a fault needs, without secrets. */
export function diagnosticCommand(run: Run): Command {
  return new Command('diagnostic')
    .description('write a report on one operation, or on the cluster as it is, without secrets')
    .option('--path <folder>', 'where to write it; made where it is not there')
    .option('--name <name>', 'of a backup or restore')
    .option('--opid <id>', 'of an operation')
    .option('--archive', 'and all of it as one file, PREFIX.zip')
    .action((options: DiagnosticOptions, command: Command) => run(command, (session) => diagnostic(session, options)))
}

async function diagnostic(session: Session, { path, name, opid, archive }: DiagnosticOptions): Promise<void> {
  if (path === undefined) throw usageError('--path is missing', 'Name a folder: pbm diagnostic --path report.')
  if (name !== undefined && opid !== undefined) throw usageError('--name and --opid are two ways to name one operation')
  const report = await collectReport(session, await session.leader(), { name, opid })
  if (report === undefined) {
    throw new PbmError('OPERATION_UNKNOWN', `nothing is known of the operation ${name ?? opid}`, {
      hint: 'See pbm list, pbm list --restore and pbm logs -x, which shows ids. Without --name and --opid, the report is on the cluster as it is.',
    })
  }
  const prefix = name ?? opid ?? `pbmkit-${rfc3339(Math.floor(session.clock.now() / 1000))}`
  const files = filesOf(prefix.replaceAll(/[^\w.:-]/g, '_'), report, archive === true)
  await write(path, files)
  const names = [...files.keys()].map((file) => join(path, file))
  session.output.result(
    { msg: 'Report is created', files: names },
    () => `Written, without secrets:\n${names.join('\n')}`,
  )
}

function filesOf(prefix: string, report: Report, isArchived: boolean): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>([...report].map(([file, text]) => [`${prefix}.${file}`, Buffer.from(text)]))
  return isArchived ? files.set(`${prefix}.zip`, zipSync(Object.fromEntries(files))) : files
}

/** For its owner alone: it tells of hosts, databases and users. */
async function write(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    for (const [file, content] of files) await writeFile(join(folder, file), content, { mode: 0o600 })
  } catch (cause) {
    throw new PbmError('REPORT_UNWRITTEN', `can't write the report to ${folder}: ${errorText(cause)}`, { cause })
  }
}
