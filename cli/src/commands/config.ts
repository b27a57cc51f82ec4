import { isDeepStrictEqual } from 'node:util'
import {
  type Config,
  type ConfigChange,
  DEFAULT_COMPRESSION,
  getConfigKey,
  isSealing,
  maskConfig,
  PbmError,
  parseConfig,
  parseSetting,
  readConfig,
  readWholeConfig,
  requireConfig,
  sameStorage,
  setConfigKeys,
  writeWholeConfig,
} from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { codeOf, usageError } from '../errors.js'
import { readTextOf } from '../io.js'
import { yamlText } from '../output/yaml.js'
import { CONFIG_PATIENCE_MS, refuseIfBusy, requireLeaderAgent } from '../preflight.js'
import { beginning, warnOfPhysical } from '../schedules.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { requireGoodReports } from '../storage-reports.js'
import { waitForOperation } from '../wait/operation.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'
import { keysWithoutEffect } from '../without-effect.js'

interface ConfigOptions extends WaitOptions {
  file?: string
  set: string[]
  list?: boolean
  forceResync?: boolean
  includeRestores?: boolean
}

/** `pbm config`: shows or changes the configuration. Nothing is written unless all of it is right. */
export function configCommand(run: Run): Command {
  const command = new Command('config')
    .description('show or change the configuration, or read the list of backups from the storage anew')
    .argument('[key]', 'show only this key, such as storage.filesystem.path')
    .option('--file <file>', 'replace the whole configuration by this YAML file; - is standard input')
    .option(
      '--set <key=value>',
      'change a key (repeatable, or comma list); all are changed or none; an empty value unsets',
      (text: string, known: string[]) => [...known, ...splitSettings(text)],
      [] as string[],
    )
    .option('--list', 'show the whole configuration (what happens anyway without any flag)')
    .option('--force-resync', 'read the list of backups from the storage anew')
    .option('--include-restores', 'with --force-resync: the metadata of physical restores too')
  return addWaitOptions(command, 'the list of backups has been read from the storage').action(
    (key: string | undefined, options: ConfigOptions, self: Command) =>
      run(self, (session) => config(session, key, options)),
  )
}

/** `a=1,b=2` are two settings; a comma that no `key=` follows belongs to the value. */
export function splitSettings(text: string): string[] {
  return text.split(/,(?=[\w-]+(?:\.[^=,\s]+)*=)/)
}

async function config(session: Session, key: string | undefined, options: ConfigOptions): Promise<void> {
  checkCombination(key, options)
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()
  if (key !== undefined) {
    const { value } = await getConfigKey(leader, key, session.plugins)
    const shown = textOf(value)
    session.output.result({ key, value: shown }, () => shown)
    return
  }
  if (options.forceResync === true) {
    await resync(session, leader, options, deadline)
    return
  }
  if (options.file !== undefined) {
    const text = await readTextOf(options.file, session.io)
    const parsed = await parseConfig(text, session.plugins, (await readConfig(leader))?.storage)
    await refuseIfBusy(session, leader, { patienceMs: CONFIG_PATIENCE_MS, deadline })
    const change = await writeWholeConfig(leader, parsed, session.plugins, await beginning(leader, session.clock))
    warnOfSealing(session, change)
    await warnOfPhysical(session, leader, change.config, parsed.schedules ?? [])
    await warnOfNoEffect(session, change)
    await followStorage(session, leader, change, options, deadline)
    const whole = await readWholeConfig(leader)
    noteKept(session, parsed, whole)
    await show(session, whole ?? change.config)
    return
  }
  if (options.set.length > 0) {
    const settings = options.set.map(parseSetting)
    await refuseIfBusy(session, leader, { patienceMs: CONFIG_PATIENCE_MS, deadline })
    const change = await setConfigKeys(leader, settings, session.plugins)
    warnOfSealing(session, change)
    await warnOfNoEffect(session, change)
    await followStorage(session, leader, change, options, deadline)
    await showKeys(
      session,
      leader,
      settings.map((setting) => setting.key),
    )
    return
  }
  await show(session, (await readWholeConfig(leader)) ?? (await requireConfig(leader)))
}

/** PBM and tools write files that know nothing of these: nobody means to end them so. */
function noteKept(session: Session, given: Config, whole: Config | undefined): void {
  const kept = (['schedules', 'notifications'] as const).filter(
    (key) => given[key] === undefined && whole?.[key] !== undefined,
  )
  for (const key of kept)
    session.output.note(`${key} stay as they were: the file has no such section (${key}: [] ends them)`)
}

/** Once: when it is set. */
async function warnOfNoEffect(session: Session, { config: next, previous }: ConfigChange): Promise<void> {
  const { name } = await session.plugins.storage(next.storage.type)
  const keys = keysWithoutEffect(next, previous, name)
  if (keys.length > 0) session.output.warn(`kept for PBM, and without effect here: ${keys.join(', ')}`)
}

/** A file without the section ends what nobody may have meant to end. */
function warnOfSealing(session: Session, { config: { encryption: next = { type: 'none' } }, previous }: ConfigChange) {
  const before = previous?.encryption
  if (before === undefined) return
  if (isSealing(before) && !isSealing(next))
    session.output.warn(`nothing is encrypted from now on; until now, ${before.type} was set`)
  const gone = Object.keys(before).filter((key) => key !== 'type' && !(key in next))
  for (const method of gone)
    session.output.warn(
      `what ${method} has sealed can't be opened while the configuration has no encryption.${method}, which says where its keys are`,
    )
}

function checkCombination(key: string | undefined, options: ConfigOptions): void {
  const asked = [
    ...(key === undefined ? [] : ['a key']),
    ...(options.file === undefined ? [] : ['--file']),
    ...(options.set.length === 0 ? [] : ['--set']),
    ...(options.list === true ? ['--list'] : []),
    ...(options.forceResync === true ? ['--force-resync'] : []),
  ]
  if (asked.length > 1) throw usageError(`${asked.join(' and ')} exclude each other`, 'Use one pbm config for each.')
  if (options.includeRestores === true && options.forceResync !== true)
    throw usageError('--include-restores goes only with --force-resync')
}

/** Always a text, as in PBM, whose readers are typed; '' for what is not set, and YAML for a section. */
function textOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? yamlText(value) : String(value ?? '')
}

/** As YAML what is stored, so that it can be given to `--file` again; as JSON with the defaults that PBM fills in. */
async function show(session: Session, shown: Config): Promise<void> {
  const { epoch: _, ...masked } = await maskConfig(shown, session.plugins)
  session.output.result(withDefaults(masked), () => yamlText(masked))
}

function withDefaults({ pitr, backup, restore, ...others }: Omit<Config, 'epoch'>): object {
  const compression = backup?.compression || DEFAULT_COMPRESSION
  return {
    ...others,
    pitr: { enabled: false, compression, ...pitr },
    backup: { oplogSpanMin: 0, compression, ...backup },
    restore: { ...restore },
  }
}

/** What was set, read back, with secrets masked. */
async function showKeys(session: Session, leader: MongoClient, keys: readonly string[]): Promise<void> {
  const shown: { key: string; value: string }[] = []
  for (const key of new Set(keys)) {
    const { value } = await getConfigKey(leader, key, session.plugins)
    shown.push({ key, value: textOf(value) })
  }
  session.output.result(shown, () => shown.map(({ key, value }) => `${key}=${value}`).join('\n'))
}

/** Another storage holds other backups: its list is read at once, so that `pbm list` shows what is there. */
async function followStorage(
  session: Session,
  leader: MongoClient,
  { config: next, previous }: ConfigChange,
  options: ConfigOptions,
  deadline: number | undefined,
): Promise<void> {
  if (previous?.storage !== undefined && (await sameStorage(previous.storage, next.storage, session.plugins))) {
    const used = ({ storage, encryption }: Config) => [storage, encryption]
    if (options.wait !== true || isDeepStrictEqual(used(previous), used(next))) return
    await requireGoodReports(session, leader, next, deadline)
    return
  }
  try {
    await requireLeaderAgent(leader)
  } catch (error) {
    if (options.wait === true)
      throw new PbmError(codeOf(error), 'the configuration is saved, but nobody can read what is on the storage', {
        hint: 'Start pbm-agent beside every member, then: pbm config --force-resync --wait',
        cause: error,
      })
    session.output.warn(
      'the configuration is saved, but no agent is running to read what is on the storage. Start pbm-agent beside every member, then: pbm config --force-resync --wait',
    )
    return
  }
  const opid = await send(leader, { cmd: 'resync' })
  if (options.wait !== true) {
    session.output.note('The list of backups is being read from the storage; pbm list shows them in a moment.')
    return
  }
  await waitForOperation(session, leader, { opid, title: 'resync', event: 'resync' }, { deadline })
  // Reading what lies there takes no key.
  if (isSealing(next.encryption)) await requireGoodReports(session, leader, next, deadline)
}

async function resync(
  session: Session,
  leader: MongoClient,
  options: ConfigOptions,
  deadline: number | undefined,
): Promise<void> {
  await requireConfig(leader)
  await refuseIfBusy(session, leader, { patienceMs: CONFIG_PATIENCE_MS, deadline })
  await requireLeaderAgent(leader)
  const opid = await send(leader, {
    cmd: 'resync',
    ...(options.includeRestores === true ? { resync: { includeRestores: true } } : {}),
  })
  if (options.wait !== true) {
    const msg = 'Storage resync started'
    session.output.result({ msg, opid }, () => `${msg}. See pbm status and pbm logs -e resync for its end.`)
    return
  }
  await waitForOperation(session, leader, { opid, title: 'resync', event: 'resync' }, { deadline })
  const msg = 'Storage resync finished'
  session.output.result({ msg, opid }, () => `${msg}. See pbm list.`)
}
