import {
  type BackupCommand,
  type Config,
  DEFAULT_COMPRESSION,
  findBackup,
  isMain,
  isSealing,
  PbmError,
  requireConfig,
  requireStorage,
  rfc3339,
  sourceName,
  until,
} from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { chosenNamespaces } from '../chosen-namespaces.js'
import { usageError } from '../errors.js'
import { wholeNumber } from '../numbers.js'
import { prettySize } from '../output/bytes.js'
import { refuseIfBusy, requireBackupAgents } from '../preflight.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { storagePlace } from '../storage-place.js'
import { waitForBackupEnd, waitForBackupStart } from '../wait/backup.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'
import { tellCopyReady } from './external-backup.js'

interface BackupOptions extends WaitOptions {
  type: string
  compression?: string
  compressionLevel?: number
  numParallelCollections?: number
  ns?: string
  profile?: string
  base?: boolean
  withUsersAndRoles?: boolean
  numParallelFiles?: number
  listFiles?: boolean
}

/** `pbm backup`: checks what can be checked before anything is sent, then follows the backup until it runs, or ends. */
export function backupCommand(run: Run, compressions: readonly string[]): Command {
  const command = new Command('backup')
    .description('start a backup of all databases, or of those chosen')
    .option(
      '-t, --type <type>',
      'logical; physical: the files of a member; incremental: what has changed of them; external: you copy the files',
      'logical',
    )
    .option('--base', 'with --type incremental: all files, as the base of a new chain; the first one is that by itself')
    .option(
      '--compression <method>',
      `${compressions.length === 0 ? 'a method' : compressions.join(', ')}; default: backup.compression, then s2`,
    )
    .option(
      '--compression-level <level>',
      'level of the method; of several only the first counts; default: backup.compressionLevel',
      firstLevel,
    )
    .option('--ns <namespaces>', 'only these: db.collection or db.*, several with commas; default: everything')
    .option('--with-users-and-roles', 'with --ns of whole databases: their users and roles too')
    .option('--profile <name>', 'to the storage of this profile; default: the main storage')
    .option(
      '--num-parallel-collections <n>',
      'collections dumped at a time; 0 takes it from the configuration',
      wholeNumber('--num-parallel-collections'),
    )
    .option(
      '--num-parallel-files <n>',
      'with --type physical, incremental: files stored at a time; 0 takes it from the configuration',
      wholeNumber('--num-parallel-files'),
    )
    .option('-l, --list-files', 'with --type external: tell which files are to be copied')
  return addWaitOptions(command, 'the backup has ended; exit code 0 only when it is done').action(
    (options: BackupOptions, self: Command) => run(self, (session) => backup(session, options)),
  )
}

/** PBM takes a list and uses its first number. */
function firstLevel(text: string, given?: number): number {
  const levels = text.split(',').map((level) => wholeNumber('--compression-level', -10)(level.trim()))
  return given ?? levels[0] ?? 0
}

async function backup(session: Session, options: BackupOptions): Promise<void> {
  const type = checkedType(options)
  const selection = chosenNamespaces(options)
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()

  const config = await requireConfig(leader)
  const profile = isMain(options.profile) ? undefined : options.profile
  const storage = await requireStorage(leader, profile)
  await refuseIfBusy(session, leader, { deadline })
  const compression = await usableCompression(session, config, options)
  if (options.listFiles === true && isSealing(config.encryption))
    throw usageError('--list-files: with encryption no list is stored', 'filelist.pbm in the dbPath names the files.')
  await requireBackupAgents(leader, { ...config, storage }, { compression, type })

  const name = await freeName(session, leader)
  // A configured level is meant for the configured method.
  const level =
    options.compressionLevel ?? (options.compression === undefined ? config.backup?.compressionLevel : undefined)
  const opid = await send(leader, {
    cmd: 'backup',
    backup: {
      type,
      base: options.base === true,
      name,
      compression,
      ...(level === undefined ? {} : { level }),
      ...(profile === undefined ? {} : { profile }),
      ...(options.numParallelCollections ? { numParallelColls: options.numParallelCollections } : {}),
      ...(options.numParallelFiles ? { numParallelFiles: options.numParallelFiles } : {}),
      ...(options.listFiles === true ? { filelist: true } : {}),
      ...(selection === undefined ? {} : { nss: [...selection.entries] }),
      ...(options.withUsersAndRoles === true ? { usersAndRoles: true } : {}),
    },
  })
  if (!session.output.json) session.output.note(`Starting backup ${name} …`)
  await waitForBackupStart(session, leader, { name, opid })
  // PBM waits here too, whatever the options say.
  if (type === 'external')
    return await tellCopyReady(session, leader, { name, opid }, { withFiles: options.listFiles === true })

  const storagePath = await storagePlace(session.plugins, storage)
  const told = { name, ...(profile === undefined ? {} : { profile }), storagePath, opid }
  if (options.wait !== true) {
    session.output.result({ ...told, status: 'running' }, () =>
      [
        `Backup ${name} runs. It goes to ${storage.type} ${storagePath}.`,
        `It is finished once pbm status says so; watch with pbm status, stop with pbm cancel-backup.`,
      ].join('\n'),
    )
    return
  }
  const done = await waitForBackupEnd(session, leader, name, deadline)
  const source = sourceName(done)
  const kind = type === 'incremental' ? { src_backup: source ?? '' } : {}
  session.output.result({ ...told, status: done.status, size: Number(done.size), ...kind }, () => {
    const { good } = session.output.colours
    const upon =
      type === 'incremental' ? `, ${source === undefined ? 'a new base' : `an increment upon ${source}`}` : ''
    return `${good('Done:')} backup ${name}, ${prettySize(Number(done.size))}${upon}, in ${storage.type} ${storagePath}`
  })
}

function checkedType(options: BackupOptions): BackupCommand['type'] {
  const { type } = options
  if (type !== 'logical' && type !== 'physical' && type !== 'incremental' && type !== 'external')
    throw usageError(`--type: '${type}' is no type of backup`)
  if (options.base === true && type !== 'incremental') throw usageError('--base goes only with --type incremental')
  if (options.listFiles === true && type !== 'external') throw usageError('--list-files goes only with --type external')
  const hasFiles = type !== 'logical'
  if (hasFiles && (options.ns !== undefined || options.withUsersAndRoles === true))
    throw usageError(`--type ${type} is one of all data`, 'Leave --ns and --with-users-and-roles out.')
  if (hasFiles && options.numParallelCollections !== undefined)
    throw usageError('--num-parallel-collections goes only with logical backups', 'Say --num-parallel-files.')
  if (!hasFiles && options.numParallelFiles !== undefined)
    throw usageError('--num-parallel-files goes only with --type physical', 'Say --num-parallel-collections.')
  return type
}

/** An unknown method means "no compression" to PBM's agents; here it is an error before anything is sent. */
async function usableCompression(session: Session, config: Config, options: BackupOptions): Promise<string> {
  const method = options.compression ?? config.backup?.compression ?? DEFAULT_COMPRESSION
  const plugin = await session.plugins.compression(method)
  const level = options.compressionLevel
  const { levels } = plugin
  if (level !== undefined && levels !== undefined && (level < levels.min || level > levels.max))
    throw usageError(`--compression-level ${level}: ${method} has the levels ${levels.min} to ${levels.max}`)
  return method
}

/** A backup is named by its second; a name that is taken is waited out, since agents drop a second command of one second. */
async function freeName(session: Session, leader: MongoClient): Promise<string> {
  const { clock, signal } = session
  const free = async () => {
    if (signal.aborted) throw new PbmError('INTERRUPTED', 'interrupted; no backup was started')
    const name = rfc3339(Math.floor(clock.now() / 1000))
    return (await findBackup(leader, name)) === undefined ? name : undefined
  }
  return await until(free, { clock, everyMs: 100 })
}
