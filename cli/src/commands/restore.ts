import {
  type BackupDocument,
  isBalancerOn,
  isOfFiles,
  isSealing,
  nodeInfo,
  type RestoreCommand,
  requireConfig,
  requireOwnAgents,
  rfc3339,
  Selection,
} from '@pbmkit/core'

import { Command } from 'commander'
import { Timestamp } from 'mongodb'
import { type Part, type PartOptions, restoredPart } from '../chosen-namespaces.js'
import { usageError } from '../errors.js'
import { confirm } from '../io.js'
import { wholeNumber } from '../numbers.js'
import { prettySize } from '../output/bytes.js'
import { momentText, parseMoment, restoreName } from '../output/times.js'
import { refuseIfBusy, requireRestoreAgents } from '../preflight.js'
import { addRemappingOption, remappingOf } from '../replset-remapping.js'
import { mergedText, restoredPartText } from '../restored-part.js'
import { refuseUnsealed } from '../sealed.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { damageWarning } from '../verification.js'
import { addWaitOptions, waitDeadline } from '../wait/options.js'
import { waitForPhysicalRestoreEnd } from '../wait/physical-restore.js'
import { waitForRestoreEnd, waitForRestoreStart } from '../wait/restore.js'
import { checkExternalOptions, type ExternalOptions, restoreExternal } from './external-restore.js'
import { addPartlyDoneOptions, partlyDoneFields } from './partly-done.js'
import { baseOf, restorableBackup } from './restore-base.js'
import { showPlan } from './restore-plan.js'

interface RestoreOptions extends ExternalOptions, PartOptions {
  numParallelCollections?: number
  numInsertionWorkersPerCollection?: number
  numParallelFiles?: number
  indexCommitQuorum?: string
  time?: string
  baseSnapshot?: string
  dryRun?: boolean
  allowUnsealed?: boolean
  withoutUsersAndRoles?: boolean
}

/** Members look first whether they all can. */
const PHYSICAL_START_MS = 150_000

/** As PBM leaves it: routers know nothing of the restored tables before they are restarted. */
const BALANCER_OFF =
  'the balancer was on, and the restore switches it off. When the restore has ended, restart every mongos, then start it: sh.startBalancer().'

/** `pbm restore NAME` or `--time`: replaces the data of the replica set by that of a backup, or of a point in time. */
export function restoreCommand(run: Run): Command {
  const command = new Command('restore')
    .description('restore a backup or a point in time: the data of the replica set is replaced')
    .argument('[backup]', 'name of the backup, as pbm list has it; not with --time')
    .option('--time <time>', 'the point in time: 2031-02-03T04:05:06 (UTC), 2031-02-03, or T,I')
    .option('--base-snapshot <name>', 'with --time: the backup to start from instead of the newest that leads there')
    .option('--ns <namespaces>', 'only these: db.collection or db.*, several with commas; all else is left alone')
    .option('--with-users-and-roles', 'with --ns of whole databases: their users and roles too')
    .option('--ns-from <namespaces>', 'with --ns-to: collections or db.*, beside the live ones; several with commas')
    .option('--ns-to <namespaces>', 'where they go, in the same order: names that are free')
    .option('--keep-existing', 'with --ns: only put back what is missing; every document that is there stays as it is')
    .option('--query <filter>', 'with --keep-existing or --ns-from: only documents that match, in Extended JSON')
    .option('--dry-run', 'only tell what would be restored, dropped and read; nothing is changed')
    .option('-y, --yes', 'do not ask')
    .option('--without-users-and-roles', 'leave the users and roles of the cluster as they are')
    .option('--allow-unsealed', 'with encryption configured: also what is not sealed, which anybody may have stored')
    .option(
      '--num-parallel-collections <n>',
      'collections restored at a time; 0 takes it from the configuration',
      wholeNumber('--num-parallel-collections'),
    )
    .option(
      '--num-parallel-files <n>',
      'of a physical backup: files fetched at a time; 0 takes it from the configuration',
      wholeNumber('--num-parallel-files'),
    )
    .option(
      '--num-insertion-workers-per-collection <n>',
      'inserts under way for each collection; 0 takes it from the configuration',
      wholeNumber('--num-insertion-workers-per-collection'),
    )
    .option(
      '--index-commit-quorum <quorum>',
      'majority, votingMembers or 1 to 50: members that must have built an index',
    )
  addRemappingOption(command)
  addPartlyDoneOptions(command)
    .option('-x, --external', 'files that you copy: of an external backup, or without a name of any other origin')
    .option('-c, --config <file>', 'with --external: how the servers of the files were started, by replica set')
    .option('--ts <timestamp>', 'with --external: T,I, the last write that the files are to have')
    .option('--exit', 'with --external: the agents end while you copy; start them again afterwards')
  return addWaitOptions(command, 'the restore has ended; exit code 0 only when it is done').action(
    (name: string | undefined, options: RestoreOptions, self: Command) =>
      run(self, (session) => restore(session, name, options)),
  )
}

async function restore(session: Session, given: string | undefined, options: RestoreOptions): Promise<void> {
  checkExternalOptions({ ...options })
  const howItMayEnd = partlyDoneFields(options)
  if (options.external === true) return await restoreExternal(session, given, options)
  const target = checkedTarget(given, options)
  const asked = restoredPart(options)
  const quorum = checkedQuorum(options.indexCommitQuorum)
  const remap = remappingOf(session, options)
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()

  if (options.dryRun === true) await requireOwnAgents(leader, '--dry-run')
  if (asked?.own !== undefined) await requireOwnAgents(leader, asked.own)
  const config = await requireConfig(leader)
  await refuseIfBusy(session, leader, { deadline })
  const mustBeSealed = options.allowUnsealed !== true && isSealing(config.encryption)
  const backup =
    target === undefined
      ? await restorableBackup(session, leader, given ?? '', remap)
      : await baseOf(session, leader, target, { ...options, mustBeSealed, isPart: asked !== undefined }, remap)
  const backupName = backup.name
  const hasFiles = isOfFiles(backup.type)
  // Of a part, the files are read by a mongod of the agent's own.
  const isPhysical = hasFiles && asked === undefined
  if (isPhysical) refuseParts(options)
  else if (hasFiles) await requireOwnAgents(leader, '--ns of physical backups')
  if (mustBeSealed) refuseUnsealed(config, { backup })
  const damage = damageWarning(backup)
  if (damage !== undefined) session.output.warn(damage)
  await requireRestoreAgents(leader)
  const part = asked ?? partOf(backup)
  const isSharded = (await nodeInfo(leader)).isConfigServer
  // Our agents would wait for what theirs never say.
  if (part !== undefined && isSharded) await requireOwnAgents(leader, 'how shards agree on chosen namespaces')
  const pitrWasOn = part === undefined && config.pitr?.enabled === true
  const balancerWasOn = part === undefined && isSharded && (await isBalancerOn(leader))
  const withUsers = options.withoutUsersAndRoles !== true
  const name = restoreName(session.clock.now(), Math.floor(Math.random() * 1_000_000))
  const sent: RestoreCommand = {
    name,
    backupName,
    ...(Object.keys(remap).length === 0 ? {} : { rsMap: remap }),
    ...howItMayEnd,
    ...(options.numParallelCollections ? { numParallelColls: options.numParallelCollections } : {}),
    ...(options.numInsertionWorkersPerCollection
      ? { numInsertionWorkers: options.numInsertionWorkersPerCollection }
      : {}),
    ...(options.numParallelFiles ? { numParallelFiles: options.numParallelFiles } : {}),
    ...(quorum === undefined ? {} : { indexCommitQuorum: quorum }),
    ...(target === undefined ? {} : { oplogTS: target }),
    ...(options.allowUnsealed === true ? { allowUnsealed: true } : {}),
    ...(options.withoutUsersAndRoles === true ? { withoutUsersAndRoles: true } : {}),
    ...asked?.fields,
    external: false,
    extConf: null,
    extTS: new Timestamp({ t: 0, i: 0 }),
    exit: false,
  }
  const what = target === undefined ? `backup ${backupName}` : `${momentText(target)} from backup ${backupName}`
  if (options.dryRun === true) return await showPlan(session, leader, sent, what)
  if (options.yes !== true)
    await confirm(
      question(backup, target, { pitrIsOn: pitrWasOn, balancerIsOn: balancerWasOn, remap, withUsers, part }),
      session.io,
      { isPhysical },
    )

  const cmd = asked?.own === undefined ? 'restore' : 'restorePart'
  const opid = await send(leader, { cmd, restore: sent })
  if (!session.output.json) session.output.note(`Starting restore ${name} of ${what} …`)
  const begun = await waitForRestoreStart(session, leader, {
    name,
    opid,
    startMs: isPhysical ? PHYSICAL_START_MS : undefined,
  })
  const gained = begun.replsets.flatMap(({ gained_roles }) => gained_roles ?? [])
  for (const { user, roles } of gained)
    session.output.warn(`${user} becomes an administrator by this restore: ${roles.join(', ')}`)
  if (pitrWasOn)
    session.output.warn(
      'point-in-time recovery is off during this restore. When it has ended, make a fresh backup (pbm backup --wait): only then does it go on, by itself.',
    )
  if (balancerWasOn) session.output.warn(BALANCER_OFF)

  const pointInTime = target === undefined ? {} : { 'point-in-time': momentText(target) }
  const told = {
    name,
    snapshot: backupName,
    ...pointInTime,
    opid,
    pitrDisabled: pitrWasOn,
    balancerDisabled: balancerWasOn,
    ...(gained.length === 0 ? {} : { gainedRoles: gained }),
  }
  if (options.wait !== true) {
    session.output.result({ ...told, status: 'running' }, () =>
      [`Restore ${name} runs.`, `See how it ends: pbm describe-restore ${name}`].join('\n'),
    )
    return
  }
  const done = isPhysical
    ? await waitForPhysicalRestoreEnd(session, name, deadline)
    : await waitForRestoreEnd(session, leader, { name }, deadline)
  const merged = done.replsets.flatMap((replset) => replset.merged ?? [])
  session.output.result({ ...told, status: done.status, ...(merged.length === 0 ? {} : { merged }) }, () => {
    const { good } = session.output.colours
    const seconds = Number(done.last_transition_ts) - Number(done.start_ts)
    if (part !== undefined)
      return [`${good('Done:')} ${restoredPartText(done)}, by ${what} (${seconds} s).`, mergedText(done)]
        .filter((line) => line !== undefined)
        .join('\n')
    const next = 'A fresh backup is needed before point-in-time recovery can go on.'
    return `${good('Done:')} ${what} is restored (${seconds} s). ${next}`
  })
}

function refuseParts(options: RestoreOptions): void {
  const part = [
    ...(options.withUsersAndRoles === true ? ['--with-users-and-roles'] : []),
    ...(options.withoutUsersAndRoles === true ? ['--without-users-and-roles'] : []),
    ...(options.dryRun === true ? ['--dry-run'] : []),
  ][0]
  if (part === undefined) return
  throw usageError(
    `${part}: without --ns, a physical backup is restored with all that is in it`,
    'Leave it out, name a part with --ns, or restore a logical one.',
  )
}

/** The point in time, or undefined for the end of the backup named. */
function checkedTarget(given: string | undefined, { time, baseSnapshot }: RestoreOptions): Timestamp | undefined {
  if (given !== undefined && time !== undefined)
    throw usageError('a backup and --time exclude each other', 'To start from a certain backup: --base-snapshot NAME.')
  if (time !== undefined) return parseMoment(time, '--time')
  if (baseSnapshot !== undefined) throw usageError('--base-snapshot goes only with --time')
  if (given === undefined)
    throw usageError('restore what?', 'pbm restore NAME, or pbm restore --time TIME; pbm list has names and ranges.')
  return undefined
}

interface Situation {
  readonly pitrIsOn: boolean
  readonly balancerIsOn: boolean
  readonly withUsers: boolean
  readonly remap: Readonly<Record<string, string>>
  readonly part: Part | undefined
}

/** A selective backup is restored as a part. */
function partOf({ nss }: BackupDocument): Part | undefined {
  const own = Selection.of(nss)
  return own && { fields: {}, text: `${own.entries.join(', ')} will be replaced` }
}

function question(backup: BackupDocument, target: Timestamp | undefined, situation: Situation): string {
  const { pitrIsOn, balancerIsOn, remap, withUsers, part } = situation
  const replsets = backup.replsets.map(({ name }) => remap[name] ?? name).join(', ')
  const size = prettySize(Number(backup.size))
  const what =
    target === undefined
      ? `backup ${backup.name} (${size}, state of ${rfc3339(backup.last_write_ts.t)})`
      : `that of ${momentText(target)}: backup ${backup.name} (${size}) and the oplog stored after it`
  if (part !== undefined) {
    const files = `All files of the backup (${size}, compressed) are fetched for it, to the state folder of the agent.`
    const told = [`${part.text}, by ${what}. All else is left alone.`, ...(isOfFiles(backup.type) ? [files] : [])]
    return [...told, 'Go ahead?'].join('\n')
  }
  return [
    `The data of ${replsets} will be replaced by ${what}.`,
    ...(isOfFiles(backup.type)
      ? [`Every mongod of ${replsets} is stopped and started again: nothing can be read or written meanwhile.`]
      : []),
    withUsers
      ? 'So will its users and roles, administrators too; --without-users-and-roles leaves them as they are.'
      : 'Its users and roles stay as they are.',
    ...(balancerIsOn ? ['The balancer will be off, and stay off afterwards.'] : []),
    ...(pitrIsOn ? ['Point-in-time recovery will be off until the next backup.'] : []),
    'Go ahead?',
  ].join('\n')
}

function checkedQuorum(quorum: string | undefined): string | undefined {
  if (quorum === undefined || quorum === 'majority' || quorum === 'votingMembers') return quorum
  const members = Number(quorum)
  if (Number.isInteger(members) && members >= 1 && members <= 50) return quorum
  throw usageError(`--index-commit-quorum: '${quorum}' is neither majority, votingMembers nor a number from 1 to 50`)
}
