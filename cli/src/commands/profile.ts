import {
  findProfile,
  isMain,
  isPrintable,
  listProfiles,
  MAIN_PROFILE,
  maskStorage,
  type Profile,
  parseConfig,
  readRunDocuments,
  requireConfig,
  requireProfile,
  storageToWire,
} from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { usageError } from '../errors.js'
import { readTextOf } from '../io.js'
import { yamlText } from '../output/yaml.js'
import { refuseIfBusy, requireLeaderAgent } from '../preflight.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { waitForOperation } from '../wait/operation.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'

interface AddOptions extends WaitOptions {
  sync?: boolean
}

interface SyncOptions extends WaitOptions {
  all?: boolean
  clear?: boolean
}

/** `pbm profile`: storages beside the main one, for `backup --profile`. */
export function profileCommand(run: Run): Command {
  const command = new Command('profile').description('storages beside the main one: list, show, add, remove, sync')
  command
    .command('list', { isDefault: true })
    .description('list all profiles')
    .action((_options: object, self: Command) => run(self, list))
  command
    .command('show')
    .description('show one profile, secrets as ***')
    .argument('<name>', 'name of the profile')
    .action((name: string, _options: object, self: Command) => run(self, (session) => show(session, name)))
  const adding = command
    .command('add')
    .description('save a profile, or replace one')
    .argument('<name>', 'its name; main is that of the main storage')
    .argument('<file>', 'a configuration in YAML, of which storage and lifecycle are taken; - is standard input')
    .option('--sync', 'then read the list of the backups that lie there')
  addWaitOptions(adding, 'it is saved (as without), and with --sync until the list has been read').action(
    (name: string, file: string, options: AddOptions, self: Command) =>
      run(self, (session) => add(session, name, file, options)),
  )
  const removing = command
    .command('remove')
    .description('forget a profile and the list of its backups; nothing on the storage is touched')
    .argument('<name>', 'name of the profile')
  addWaitOptions(removing, 'it is forgotten').action((name: string, options: WaitOptions, self: Command) =>
    run(self, (session) => remove(session, name, options)),
  )
  const syncing = command
    .command('sync')
    .description('read the list of the backups on the storage of a profile anew')
    .argument('[name]', 'name of the profile')
    .option('--all', 'of every profile')
    .option('--clear', 'only forget the list; nothing on the storage is touched')
  addWaitOptions(syncing, 'the list has been read').action(
    (name: string | undefined, options: SyncOptions, self: Command) =>
      run(self, (session) => sync(session, name, options)),
  )
  return command
}

async function list(session: Session): Promise<void> {
  const profiles = await Promise.all((await listProfiles(await session.leader())).map((one) => masked(session, one)))
  session.output.result({ profiles }, () =>
    profiles.length === 0
      ? 'No profiles. Make one with pbm profile add NAME FILE.'
      : profiles.map((profile) => yamlText(profile)).join('\n---\n'),
  )
}

async function show(session: Session, name: string): Promise<void> {
  checkName(name)
  const profile = await masked(session, await requireProfile(await session.leader(), name))
  session.output.result(profile, () => yamlText(profile))
}

async function add(session: Session, name: string, file: string, options: AddOptions): Promise<void> {
  checkName(name)
  if (!isPrintable(name)) throw usageError('the name of a profile must not have control characters')
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()
  const text = await readTextOf(file, session.io)
  const replaced = await findProfile(leader, name)
  const { storage, lifecycle, epoch: _, ...more } = await parseConfig(text, session.plugins, replaced?.storage)
  const ignored = Object.keys(more)
  if (ignored.length > 0)
    session.output.warn(
      `of a profile only storage and lifecycle count; not taken: ${ignored.join(', ')} (the main ones hold)`,
    )
  await requireConfig(leader)
  await refuseIfBusy(session, leader, { deadline })
  await requireLeaderAgent(leader)
  // The backups of a place that a profile had before are not those of the new one.
  if ((await findProfile(leader, name)) !== undefined) await forget(session, leader, name)
  const opid = await send(leader, {
    cmd: 'addConfigProfile',
    profile: {
      ...{ name, profile: true, storage: await storageToWire(storage, session.plugins) },
      ...(lifecycle === undefined ? {} : { lifecycle }),
    },
  })
  await waitForOperation(session, leader, { opid, title: 'saving of the profile', event: 'addConfigProfile' })
  if (options.sync === true) await read(session, leader, { name }, options, deadline)
  session.output.result({ msg: 'OK', name }, () =>
    [
      `Profile ${name} is saved. Back up to it: pbm backup --profile ${name} --wait`,
      ...(options.sync === true ? [] : [`Backups that lie there already: pbm profile sync ${name} --wait`]),
    ].join('\n'),
  )
}

async function remove(session: Session, name: string, options: WaitOptions): Promise<void> {
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()
  // Not `checkName`: an old PBM could save one that is called main.
  await requireProfile(leader, name)
  await refuseIfBusy(session, leader, { deadline })
  await requireLeaderAgent(leader)
  const users = (await readRunDocuments(leader)).schedules.filter(({ profile }) => profile === name)
  if (users.length > 0)
    session.output.warn(
      `these schedules need the profile, and fail without it: ${users.map((one) => one.name).join(', ')} (pbm schedule remove)`,
    )
  const opid = await forget(session, leader, name, options.wait === true ? deadline : undefined)
  session.output.result({ msg: 'OK', name, opid }, () => `Profile ${name} is removed; its backups stay on the storage.`)
}

/** Always waited for, as in PBM: what comes next rests on it. */
async function forget(session: Session, leader: MongoClient, name: string, deadline?: number): Promise<string> {
  const opid = await send(leader, { cmd: 'removeConfigProfile', profile: { name } })
  const operation = { opid, title: 'removal of the profile', event: 'removeConfigProfile' }
  await waitForOperation(session, leader, operation, { deadline })
  return opid
}

async function sync(session: Session, name: string | undefined, options: SyncOptions): Promise<void> {
  if (name === undefined && options.all !== true) throw usageError('which profile?', 'Give a name, or --all.')
  if (name !== undefined && options.all === true) throw usageError('a name and --all exclude each other')
  if (name !== undefined) checkName(name)
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()
  await requireConfig(leader)
  if (name !== undefined) await requireProfile(leader, name)
  await refuseIfBusy(session, leader, { deadline })
  await requireLeaderAgent(leader)
  await read(session, leader, name === undefined ? { all: true } : { name }, options, deadline)
  const done = options.wait === true
  session.output.result({ msg: 'OK' }, () =>
    done ? 'Done. See pbm list.' : 'Started. See pbm status and pbm logs -e resync for its end.',
  )
}

async function read(
  session: Session,
  leader: MongoClient,
  which: { readonly name?: string; readonly all?: true },
  options: SyncOptions,
  deadline: number | undefined,
): Promise<void> {
  const opid = await send(leader, {
    cmd: 'resync',
    resync: { ...which, ...(options.clear === true ? { clear: true } : {}) },
  })
  if (options.wait === true)
    await waitForOperation(session, leader, { opid, title: 'reading of the storage', event: 'resync' }, { deadline })
}

/** PBM's keys, in its order. */
async function masked(session: Session, { name, storage, lifecycle }: Profile) {
  const shown = { name, profile: true, storage: await maskStorage(storage, session.plugins) }
  return lifecycle === undefined ? shown : { ...shown, lifecycle }
}

function checkName(name: string): void {
  if (isMain(name))
    throw usageError(
      name === MAIN_PROFILE ? "a profile can't be called main" : 'a profile needs a name',
      'main is the main storage: see pbm config.',
    )
}
