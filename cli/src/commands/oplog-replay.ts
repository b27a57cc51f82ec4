import { clusterTime, listChunks, optime, PbmError, planReplay, requireConfig, tableTime } from '@pbmkit/core'
import { Command } from 'commander'
import { usageError } from '../errors.js'
import { confirm } from '../io.js'
import { momentText, parseMoment, restoreName } from '../output/times.js'
import { refuseIfBusy, requireRestoreAgents } from '../preflight.js'
import { addRemappingOption, type RemappingOption, remappingOf } from '../replset-remapping.js'
import { refuseUnsealed } from '../sealed.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'
import { waitForRestoreEnd, waitForRestoreStart } from '../wait/restore.js'

interface ReplayOptions extends WaitOptions, RemappingOption {
  start?: string
  end?: string
  dryRun?: boolean
  yes?: boolean
  allowUnsealed?: boolean
}

/** `pbm oplog-replay`: applies stored oplog to the data as it is. */
export function oplogReplayCommand(run: Run): Command {
  const command = new Command('oplog-replay')
    .description('apply stored oplog chunks to the data as it is, for example on a restored disk snapshot')
    .option('--start <time>', 'from when on: 2031-02-03T04:05:06 (UTC), 2031-02-03, or T,I; inclusive')
    .option('--end <time>', 'up to when, likewise; inclusive')
    .option('--dry-run', 'only show which chunks would be replayed')
    .option('-y, --yes', 'do not ask')
    .option('--allow-unsealed', 'with encryption configured: also what is not sealed, which anybody may have stored')
  addRemappingOption(command)
  return addWaitOptions(command, 'the replay has ended; exit code 0 only when it is done').action(
    (options: ReplayOptions, self: Command) => run(self, (session) => replay(session, options)),
  )
}

async function replay(session: Session, options: ReplayOptions): Promise<void> {
  const rsMap = remappingOf(session, options)
  if (options.start === undefined || options.end === undefined)
    throw usageError('which part of the oplog?', 'Give --start and --end; pbm list --unbacked shows what is stored.')
  const [start, end] = [parseMoment(options.start, '--start'), parseMoment(options.end, '--end')]
  if (!end.greaterThan(start)) throw usageError(`--end ${options.end} does not lie after --start ${options.start}`)
  const deadline = waitDeadline(options, session.clock)
  const { output } = session
  const leader = await session.leader()
  const config = await requireConfig(leader)
  if (options.dryRun !== true) await refuseIfBusy(session, leader, { deadline })
  const [chunks, now] = await Promise.all([listChunks(leader), clusterTime(leader)])
  if (end.greaterThan(now))
    throw new PbmError('TIME_IN_FUTURE', `--end ${momentText(end)} lies in the future: it is ${tableTime(now.t)} now`, {
      hint: 'pbm list --unbacked shows what is stored.',
    })
  const range = { start: optime({ t: start.t, i: start.i }), end: optime({ t: end.t, i: end.i }) }
  const byReplset = Map.groupBy(chunks, ({ rs }) => rs)
  // Replica sets without any chunk have nothing to replay; one that has some must have all.
  const wanted = [...(byReplset.size === 0 ? [[await session.leaderReplset(), []] as const] : byReplset)].flatMap(
    ([rs, own]) => planReplay({ chunks: own, rs, ...range }),
  )
  if (options.allowUnsealed !== true) refuseUnsealed(config, { chunks: wanted })
  const period = `${momentText(start)} - ${momentText(end)}`
  if (options.dryRun === true) {
    const objects = wanted.map(({ fname }) => fname)
    output.result({ msg: 'dry run: nothing was replayed', chunks: objects }, () =>
      [`Would be replayed (${period}):`, ...objects.map((object) => `  ${object}`)].join('\n'),
    )
    return
  }
  await requireRestoreAgents(leader)
  // PBM does not ask here, so scripts without a terminal go on, too.
  if (options.yes !== true && session.io.stdin.isTTY === true)
    await confirm(`The oplog of ${period} will be applied to the data as it is now.\nGo ahead?`, session.io)

  const name = restoreName(session.clock.now(), Math.floor(Math.random() * 1_000_000))
  const opid = await send(leader, {
    cmd: 'replay',
    replay: {
      ...{ name, start, end },
      ...(Object.keys(rsMap).length === 0 ? {} : { rsMap }),
      ...(options.allowUnsealed === true ? { allowUnsealed: true } : {}),
    },
  })
  if (!output.json) output.note(`Starting replay ${name} of the oplog of ${period} …`)
  const kind = 'replay' as const
  await waitForRestoreStart(session, leader, { name, opid, kind })
  const told = { name, opid, start: momentText(start), end: momentText(end) }
  if (options.wait !== true) {
    output.result({ ...told, status: 'running' }, () =>
      [`Replay ${name} runs.`, `See how it ends: pbm describe-restore ${name}`].join('\n'),
    )
    return
  }
  const done = await waitForRestoreEnd(session, leader, { name, kind }, deadline)
  output.result({ ...told, status: done.status }, () => {
    const seconds = Number(done.last_transition_ts) - Number(done.start_ts)
    return `${output.colours.good('Done:')} the oplog of ${period} is applied (${seconds} s).`
  })
}
