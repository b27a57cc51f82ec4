import {
  nodeInfo,
  openStore,
  PbmError,
  parseConfig,
  type RestoreCommand,
  type RestoreDocument,
  readPhysicalRestore,
  requireConfig,
  tellCopyDone,
} from '@pbmkit/core'
import { Command } from 'commander'
import { Timestamp } from 'mongodb'
import { parse } from 'yaml'
import { usageError } from '../errors.js'
import { requireBackup } from '../find-backup.js'
import { confirm, readTextOf } from '../io.js'
import { parseMoment, restoreName } from '../output/times.js'
import { refuseIfBusy, requireRestoreAgents } from '../preflight.js'
import { type RemappingOption, remappingOf } from '../replset-remapping.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { waitForFiles } from '../wait/external-restore.js'
import { type WaitOptions, waitDeadline } from '../wait/options.js'
import { type PartlyDoneOptions, partlyDoneFields } from './partly-done.js'

export interface ExternalOptions extends WaitOptions, RemappingOption, PartlyDoneOptions {
  yes?: boolean
  external?: boolean
  config?: string
  ts?: string
  exit?: boolean
}

/** What belongs to another kind of restore. */
const OTHERS = {
  ...{ time: '--time', baseSnapshot: '--base-snapshot', ns: '--ns', nsFrom: '--ns-from', nsTo: '--ns-to' },
  ...{ withUsersAndRoles: '--with-users-and-roles', withoutUsersAndRoles: '--without-users-and-roles' },
  ...{ dryRun: '--dry-run', keepExisting: '--keep-existing', query: '--query' },
} as const

/** Refuses what goes only with `--external` without it, and with it what does not. */
export function checkExternalOptions(options: ExternalOptions & Readonly<Record<string, unknown>>): void {
  if (options.external !== true) {
    for (const [option, flag] of Object.entries({ config: '--config', ts: '--ts', exit: '--exit' }))
      if (options[option] !== undefined) throw usageError(`${flag} goes only with --external`)
    return
  }
  for (const [option, flag] of Object.entries(OTHERS))
    if (options[option] !== undefined)
      throw usageError(`${flag} does not go with --external`, 'pbm oplog-replay leads from there to a later time.')
}

/** `pbm restore [NAME] --external`: empties the members, and says when files may be copied into them (PBM: physical.md §7). */
export async function restoreExternal(
  session: Session,
  given: string | undefined,
  options: ExternalOptions,
): Promise<void> {
  const { output, io, clock, plugins } = session
  const extTS = options.ts === undefined ? new Timestamp({ t: 0, i: 0 }) : parseMoment(options.ts, '--ts')
  const extConf = options.config === undefined ? null : await serverOptionsIn(options.config, session)
  const rsMap = remappingOf(session, options)
  const deadline = waitDeadline(options, clock)
  const leader = await session.leader()
  const config = await requireConfig(leader)
  await refuseIfBusy(session, leader, { deadline })
  const backup = given === undefined ? undefined : await requireBackup(leader, given)
  if (backup !== undefined && (backup.type !== 'external' || backup.status !== 'done'))
    throw new PbmError(
      'BACKUP_NOT_DONE',
      `backup ${backup.name} is no external one that is done: ${backup.type}, ${backup.status}`,
    )
  await requireRestoreAgents(leader)
  const { rs } = await nodeInfo(leader)
  if (options.yes !== true)
    await confirm(
      `Every mongod of ${rs} is stopped, and its data moved aside, until you have copied other files there. Go ahead?`,
      io,
      { isPhysical: true },
    )
  const name = restoreName(clock.now(), Math.floor(Math.random() * 1_000_000))
  const restore: RestoreCommand = {
    ...{ name, backupName: given ?? '', ...partlyDoneFields(options), external: true, extConf, extTS },
    ...(Object.keys(rsMap).length === 0 ? {} : { rsMap }),
    exit: options.exit === true,
  }
  const opid = await send(leader, { cmd: 'restore', restore })
  if (!output.json) output.note(`Starting restore ${name} …`)
  const store = await openStore(plugins, config.storage, contextOf(session), { mustExist: true })
  const ready = await waitForFiles(session, { leader, store, name, opid, deadline }).finally(() => store.close())
  const nodes = ready.replsets.flatMap((replset) => (replset.nodes ?? []).map((node) => node.name))
  const snapshot = given === undefined ? {} : { snapshot: given }
  output.result({ name, ...snapshot, opid, status: ready.status, nodes }, () =>
    [
      'The servers are stopped. Copy the files into the dbPath of each of these, as the user of its mongod:',
      ...nodes.map((node) => `  ${node}`),
      ...(options.exit === true ? ['Their agents have ended: start them when the files are there.'] : []),
      `Then: pbm restore-finish ${name} -c FILE, with the configuration of the storage.`,
    ].join('\n'),
  )
}

/** `pbm restore-finish NAME -c FILE`: the files are copied. No database is there that could be asked. */
export function restoreFinishCommand(run: Run): Command {
  return new Command('restore-finish')
    .description('say that the files of an external restore are copied: the agents go on with them')
    .argument('<name>', 'name of the restore')
    .requiredOption('-c, --config <file>', 'the configuration with the main storage; - is standard input')
    .action((name: string, { config }: { config: string }, command: Command) =>
      run(command, async (session) => {
        const { plugins, io, output } = session
        const { storage } = await parseConfig(await readTextOf(config, io), plugins)
        const store = await openStore(plugins, storage, contextOf(session), { mustExist: true })
        try {
          requireCopyReady(name, await readPhysicalRestore(store, name, { signal: io.signal }))
          await tellCopyDone(store, name, { signal: io.signal })
        } finally {
          await store.close()
        }
        const msg = `Restore ${name} goes on. See how it ends: pbm describe-restore ${name} -c ${config}`
        output.result({ msg }, () => msg)
      }),
    )
}

function requireCopyReady(name: string, restore: RestoreDocument | undefined): void {
  if (restore === undefined)
    throw new PbmError('RESTORE_NOT_FOUND', `there is no physical restore '${name}' on this storage`, {
      hint: 'Check its name, and that the file names the main storage of the cluster.',
    })
  if (restore.status === 'copyReady') return
  throw new PbmError('NOT_COPY_READY', `restore ${name} is '${restore.status}': files are copied only at 'copyReady'`, {
    hint: `See pbm describe-restore ${name} -c FILE.`,
  })
}

/** Replica set → how its servers were started that the files are of. */
async function serverOptionsIn(file: string, { io }: Session): Promise<Record<string, unknown>> {
  let found: unknown
  try {
    found = parse(await readTextOf(file, io))
  } catch (error) {
    if (error instanceof PbmError) throw error
    throw usageError(`--config: ${file} is no YAML: ${error instanceof Error ? error.message : error}`)
  }
  const isMap = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isMap(found) || !Object.values(found as object).every(isMap))
    throw usageError('--config: it has no options of mongod by replica set', 'Write rs0: { storage: { … } }.')
  return found as Record<string, unknown>
}

function contextOf({ io, output }: Session) {
  return { signal: io.signal, warn: (text: string) => output.warn(text) }
}
