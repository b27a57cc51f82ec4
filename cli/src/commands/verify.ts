import {
  Ciphers,
  chunkMethod,
  clusterTime,
  findVerification,
  isMain,
  isStale,
  openStore,
  PbmError,
  ProgressPublisher,
  parseConfig,
  requireConfig,
  requireStorage,
  sampleOf,
  sealedStore,
  type VerificationReport,
  type VerifyCommand,
  verifyScopeOf,
  verifyStorage,
} from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { EXIT, usageError } from '../errors.js'
import { requireBackup } from '../find-backup.js'
import { readTextOf } from '../io.js'
import { parseMoment, parseOlderThan } from '../output/times.js'
import { agentsView } from '../preflight.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { reportText } from '../verification.js'
import { waitForOperation } from '../wait/operation.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'
import { overallProgress } from '../wait/progress.js'
import { showProgress } from '../wait/progress-bar.js'

interface VerifyOptions extends WaitOptions {
  all?: boolean
  pitr?: boolean
  time?: string
  since?: string
  readData: number
  profile?: string
  local?: boolean
  config?: string
}

/** `pbm verify`: whether what is on the storage is whole. Nothing is changed there. */
export function verifyCommand(run: Run): Command {
  const command = new Command('verify')
    .description('read through what is on the storage: is it all there, and is it what was stored?')
    .argument('[backup]', 'name of the backup, as pbm list has it')
    .option('-a, --all', 'every backup, and the stored oplog')
    .option('--pitr', 'the stored oplog: every chunk, and how they join')
    .option('--time <time>', 'all that a restore to this time takes: 2031-02-03T04:05:06 (UTC), 2031-02-03, or T,I')
    .option('--since <time>', 'with --all or --pitr: only what ends after this time; or 30d for days')
    .option('--read-data <percent>', 'read only so many of the objects; of the others compare sizes', percent, 100)
    .option('--profile <name>', 'with --all: the backups on the storage of this profile')
    .option('--local', 'by this program instead of an agent, without a database; needs --config')
    .option(
      '-c, --config <file>',
      'with --local: the configuration, which says where the storage is; - is standard input',
    )
  addWaitOptions(command, 'it has ended, which is the default')
  return command
    .option('--no-wait', 'do not wait; pbm status shows what comes of it')
    .action((name: string | undefined, options: VerifyOptions, self: Command) =>
      run(self, (session) => verify(session, name, options)),
    )
}

function percent(text: string): number {
  const value = Number(/^(\d+(?:\.\d+)?)%?$/.exec(text)?.[1] ?? Number.NaN)
  if (Number.isNaN(value) || value > 100)
    throw usageError(`--read-data: '${text}' is not a part of 100 %`, 'Write for example 10%.')
  return value
}

async function verify(session: Session, name: string | undefined, options: VerifyOptions): Promise<void> {
  const asked = askedFor(name, options, session)
  if (options.local === true || options.config !== undefined) {
    tell(session, await verifyLocally(session, asked, options))
    return
  }
  const deadline = waitDeadline({ ...options, wait: options.wait !== false }, session.clock)
  const leader = await session.leader()
  await requireConfig(leader)
  if (asked.backup !== undefined) await requireBackup(leader, asked.backup)
  else await requireStorage(leader, asked.profile)
  await requireOwnAgent(leader)
  const opid = await send(leader, { cmd: 'verify', verify: asked })
  if (options.wait === false) {
    session.output.result({ opid, status: 'running' }, () => 'The verification runs. See what comes of it: pbm status')
    return
  }
  tell(session, await waitForReport(session, leader, opid, deadline))
}

function askedFor(name: string | undefined, options: VerifyOptions, { clock }: Session): VerifyCommand {
  const { all, pitr, time, since, readData, profile } = options
  const chosen = [name, all, pitr, time].filter((one) => one !== undefined)
  if (chosen.length === 0)
    throw usageError('verify what?', 'pbm verify NAME, --all, --pitr or --time TIME; pbm list has names and ranges.')
  if (chosen.length > 1) throw usageError('a backup, --all, --pitr and --time exclude each other')
  if (since !== undefined && all !== true && pitr !== true) throw usageError('--since goes only with --all or --pitr')
  if (profile !== undefined && all !== true) throw usageError('--profile goes only with --all')
  if (options.local === true && options.config === undefined)
    throw usageError('--local needs --config FILE', 'The file says where the storage is: pbm config --list shows it.')
  const from = since === undefined ? {} : { since: parseOlderThan(since, Math.floor(clock.now() / 1000), '--since').t }
  return {
    ...(name === undefined ? {} : { backup: name }),
    ...(all === undefined ? {} : { all }),
    ...(pitr === undefined ? {} : { pitr }),
    ...(time === undefined ? {} : { time: parseMoment(time, '--time') }),
    ...from,
    readData,
    ...(isMain(profile) ? {} : { profile }),
  }
}

/** Agents of PBM pass the command over. */
async function requireOwnAgent(leader: MongoClient): Promise<void> {
  const { replsets, agents } = await agentsView(leader)
  const now = await clusterTime(leader)
  const rs = replsets[0]?.rs
  const own = agents.filter((agent) => agent.rs === rs && agent.plugins !== undefined && !agent.arb)
  if (own.some(({ hb }) => !isStale(hb, now))) return
  throw new PbmError('NO_AGENTS', `no live pbm-agent of pbmkit serves the replica set ${rs}`, {
    hint: 'Start one beside a member; or verify from here: pbm verify --local --config FILE.',
  })
}

async function waitForReport(session: Session, leader: MongoClient, opid: string, deadline: number | undefined) {
  const display = showProgress(session, 'verification', opid)
  let report: VerificationReport | undefined
  const ended = async () => {
    const note = await findVerification(leader, opid)
    report = note?.report
    if (report === undefined && note?.progress !== undefined) display.update('running', overallProgress([note]))
    return report !== undefined
  }
  try {
    await waitForOperation(session, leader, { opid, title: 'verification', event: 'verify' }, { deadline, ended })
  } finally {
    display.stop()
  }
  if (report !== undefined) return report
  throw new PbmError('NO_ANSWER', 'the agent did not say what the verification found', {
    hint: `See pbm logs -e verify -i ${opid} -t 0.`,
  })
}

async function verifyLocally(session: Session, asked: VerifyCommand, { config: file = '-', readData }: VerifyOptions) {
  const { plugins, output, signal, clock } = session
  if (asked.profile !== undefined)
    throw usageError('--profile does not go with --local', 'Name its storage in the file.')
  const config = await parseConfig(await readTextOf(file, session.io), plugins)
  const context = { signal, warn: (message: string) => output.warn(message) }
  const ciphers = new Ciphers(plugins, config.encryption, context)
  const store = sealedStore(await openStore(plugins, config.storage, context), ciphers, chunkMethod)
  const display = showProgress(session, 'verification', '')
  const progress = new ProgressPublisher(clock, async (told) =>
    display.update('running', overallProgress([{ progress: told }])),
  )
  try {
    const sample = sampleOf(readData, String(clock.now()))
    const report = await verifyStorage(verifyScopeOf(asked), {
      ...{ store, host: plugins, ciphers, signal, progress, readData, sample },
    })
    requireAnything(report)
    return report
  } catch (error) {
    throw signal.aborted ? new PbmError('INTERRUPTED', 'interrupted') : error
  } finally {
    display.stop()
    await store.close()
  }
}

/** An agent knows the storage by its identity; here the folder of a share that is not mounted looks like a new storage. */
function requireAnything({ backups, chunks }: VerificationReport): void {
  if (backups.length > 0 || (chunks !== undefined && (chunks.objects > 0 || chunks.unread.length > 0))) return
  throw new PbmError('NOTHING_TO_VERIFY', 'there is nothing to verify on the storage', {
    hint: 'Is it the right place and prefix, and is the share mounted on this host?',
  })
}

/** The exit code is 0 only when all is right. */
function tell(session: Session, report: VerificationReport): void {
  session.output.result(report, () => reportText(report, session.output.colours))
  if (report.result !== 'good') session.exitCode = EXIT.failure
}
