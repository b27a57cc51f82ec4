import {
  ACTIONS,
  clusterTime,
  noteRun,
  PbmError,
  readRunDocuments,
  requireConfig,
  requireStorage,
  SCHEDULED,
  type ScheduleConfig,
  type ScheduledKind,
  type ScheduledRun,
  writeSchedules,
} from '@pbmkit/core'
import { Command, Option } from 'commander'
import type { MongoClient } from 'mongodb'
import { usageError } from '../errors.js'
import { wholeNumber } from '../numbers.js'
import { refuseIfBusy, requireLeaderAgent } from '../preflight.js'
import { beginning, schedulesText, shownSchedules, warnOfPhysical } from '../schedules.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'
import { poll } from '../wait/poll.js'

const KINDS = Object.keys(SCHEDULED)

type AddOptions = Omit<ScheduleConfig, 'name' | 'enabled'> & { catchUp: boolean }

/** `pbm schedule`: what the agents do by themselves. */
export function scheduleCommand(run: Run): Command {
  const command = new Command('schedule').description('what the agents do by themselves: list, add, pause, run')
  command
    .command('list', { isDefault: true })
    .description('all schedules, when they are due, and how the last ones ended')
    .action((_options: object, self: Command) => run(self, list))
  addOptions(command.command('add').description('add a schedule').argument('<name>'), 'of a backup').action(
    (name: string, options: AddOptions, self: Command) => run(self, (session) => add(session, name, options)),
  )
  command
    .command('remove')
    .description('remove a schedule; what it has begun goes on')
    .argument('<name>')
    .action((name: string, _options: object, self: Command) =>
      run(self, (session) => change(session, name, () => undefined, 'removed')),
    )
  command
    .command('pause')
    .description('nothing of it is begun until it is resumed')
    .argument('<name>')
    .action((name: string, _options: object, self: Command) =>
      run(self, (session) => change(session, name, (one) => ({ ...one, enabled: false }), 'paused')),
    )
  command
    .command('resume')
    .description('end a pause; what was due meanwhile is not made up')
    .argument('<name>')
    .action((name: string, _options: object, self: Command) =>
      run(self, (session) => change(session, name, ({ enabled: _, ...one }) => one, 'resumed')),
    )
  const runNow = command.command('run').description('do it now').argument('<name>')
  addWaitOptions(runNow, 'it has ended; exit code 0 only when it is done').action(
    (name: string, options: WaitOptions, self: Command) => run(self, (session) => doNow(session, name, options)),
  )
  return command
}

function addOptions(command: Command, ofBackup: string): Command {
  return command
    .addOption(new Option('--do <what>', 'what is done').choices(KINDS).default('backup'))
    .requiredOption('--cron <expression>', 'minute hour day month weekday, such as "30 2 * * *"')
    .option('--timezone <zone>', 'as the IANA names it, such as Europe/Berlin; default: UTC')
    .addOption(
      new Option('--overlap <how>', 'while another operation runs: wait for its end, or skip').choices([
        'wait',
        'skip',
      ]),
    )
    .option('--no-catch-up', 'do not make up what was missed while no agent ran')
    .addOption(
      new Option('-t, --type <type>', `${ofBackup} (default: logical) or of drill (the newest)`).choices([
        'logical',
        'physical',
        'incremental',
      ]),
    )
    .option('--base', `${ofBackup}, incremental: the base of a new chain`)
    .option('--ns <namespaces>', `${ofBackup}: only these, with commas; default: everything`)
    .option('--with-users-and-roles', `${ofBackup} of whole databases: their users and roles too`)
    .option('--profile <name>', 'on the storage of this profile; default: the main storage')
    .option('--compression <method>', `${ofBackup}; default: as configured`)
    .option('--compression-level <level>', `${ofBackup}`, wholeNumber('--compression-level', -10))
    .option('--num-parallel-collections <n>', `${ofBackup}`, wholeNumber('--num-parallel-collections'))
    .option('--num-parallel-files <n>', `${ofBackup}, physical and incremental`, wholeNumber('--num-parallel-files'))
    .option('--older-than <duration>', 'of cleanup and delete-pitr, such as 30d')
    .option('--newer-than <duration>', 'of verify: only what ended since, such as 8d; default: everything')
    .option('--read-data <percent>', 'of verify: read only so many of the objects', wholeNumber('--read-data'))
}

async function list(session: Session): Promise<void> {
  const shown = await shownSchedules(await session.leader(), session.clock.now())
  session.output.result({ schedules: shown }, () =>
    shown.length === 0
      ? 'No schedules. Add one with pbm schedule add NAME --cron "30 2 * * *".'
      : schedulesText(shown, session.output.colours),
  )
}

async function add(session: Session, name: string, { catchUp, ...given }: AddOptions): Promise<void> {
  const leader = await session.leader()
  await requireStorage(leader, given.profile)
  const config = await requireConfig(leader)
  const schedule = { name, ...given, ...(catchUp ? {} : { catchUp }) } as ScheduleConfig
  await writeSchedules(
    leader,
    (schedules) => {
      if (schedules.some((one) => one.name === name))
        throw usageError(`there is a schedule ${name} already`, `Remove it first: pbm schedule remove ${name}`)
      return [...schedules, schedule]
    },
    await beginning(leader, session.clock),
  )
  await warnOfPhysical(session, leader, config, [schedule])
  await tell(session, leader, name, 'added')
}

async function change(
  session: Session,
  name: string,
  to: (schedule: ScheduleConfig) => ScheduleConfig | undefined,
  what: string,
): Promise<void> {
  const leader = await session.leader()
  await writeSchedules(
    leader,
    (schedules) => {
      if (!schedules.some((one) => one.name === name)) throw unknown(name)
      return schedules.flatMap((one) => (one.name === name ? (to(one) ?? []) : one))
    },
    await beginning(leader, session.clock),
  )
  await tell(session, leader, name, what)
}

async function tell(session: Session, leader: MongoClient, name: string, what: string): Promise<void> {
  const shown = (await shownSchedules(leader, session.clock.now())).find((one) => one.name === name)
  const next = shown?.next === undefined ? '' : `; next: ${shown.next}`
  session.output.result(
    { msg: 'OK', name, ...(shown !== undefined && { schedule: shown }) },
    () => `${name} is ${what}${next}`,
  )
}

/** Sends what the schedule would have sent, and notes it there. */
async function doNow(session: Session, name: string, options: WaitOptions): Promise<void> {
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()
  const config = await requireConfig(leader)
  const { schedules, states } = await readRunDocuments(leader)
  const schedule = schedules.find((one) => one.name === name)
  if (schedule === undefined) throw unknown(name)
  if (states[name]?.run !== undefined)
    throw new PbmError('OPERATION_RUNNING', `the schedule ${name} is under way already`, {
      hint: 'See pbm schedule list, and try again when it has ended.',
    })
  await refuseIfBusy(session, leader, { deadline })
  await requireLeaderAgent(leader)
  const now = await clusterNow(leader)
  const command = await ACTIONS[schedule.do].command(schedule, { leader, config, now })
  const opid = await send(leader, command)
  const backup = command.cmd === 'backup' ? { name: command.backup.name } : {}
  const sent: ScheduledRun = { tick: now, opid, status: 'sent', by: 'pbm schedule run', sentAt: now, ...backup }
  if (!(await noteRun(leader, name, sent)))
    session.output.warn(`an agent has begun a run of ${name} meanwhile: pbm schedule list has that one`)
  const told = { schedule: name, cmd: command.cmd, opid, ...backup }
  if (options.wait !== true) {
    session.output.result(
      { ...told, status: 'running' },
      () => `${command.cmd} ${backup.name ?? ''} was sent. See pbm schedule list for its end.`,
    )
    return
  }
  await waitForRun(session, leader, schedule.do, sent, deadline)
  session.output.result({ ...told, status: 'done' }, () => `Done: ${command.cmd} ${backup.name ?? ''}`)
}

async function waitForRun(
  session: Session,
  leader: MongoClient,
  kind: ScheduledKind,
  run: ScheduledRun,
  deadline: number | undefined,
): Promise<void> {
  const hint = `See pbm logs -i ${run.opid} -t 0.`
  const { clock, signal } = session
  const ended = async () => {
    const config = await requireConfig(leader)
    return await ACTIONS[kind].outcome(run, { leader, config, now: await clusterNow(leader) })
  }
  const outcome = await poll(ended, {
    ...{ clock, signal, deadline },
    onDeadline: () =>
      new PbmError('WAIT_TIME', `the wait time is over, and the ${kind} still runs`, { hint: `It goes on. ${hint}` }),
    onInterrupt: () => new PbmError('INTERRUPTED', `stopped waiting; the ${kind} goes on`, { hint }),
  })
  if (outcome.status === 'done') return
  if (outcome.status === 'busy')
    throw new PbmError(
      'OPERATION_RUNNING',
      `the ${kind} does not begin: ${outcome.why ?? 'another operation is running'}`,
    )
  throw new PbmError('OPERATION_FAILED', `the ${kind} failed: ${outcome.why ?? 'no reason was recorded'}`, { hint })
}

/** What agents reckon from; the clock of this host may be wrong. Milliseconds since the epoch. */
async function clusterNow(leader: MongoClient): Promise<number> {
  return (await clusterTime(leader)).t * 1000
}

function unknown(name: string): PbmError {
  return new PbmError('SCHEDULE_UNKNOWN', `there is no schedule ${name}`, { hint: 'See pbm schedule list' })
}
