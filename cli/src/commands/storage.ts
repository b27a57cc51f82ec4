import {
  isMain,
  maskText,
  type ObjectStore,
  openStore,
  PbmError,
  type PluginContext,
  requireStorage,
  type StorageConfig,
  type StoragePlugin,
  storageOptions,
} from '@pbmkit/core'
import { Command } from 'commander'
import { errorReport } from '../errors.js'
import { wholeNumber } from '../numbers.js'
import { prettySize } from '../output/bytes.js'
import { indent, table } from '../output/table.js'
import type { Run, Session } from '../session.js'
import { type CaseResult, Collector, runCases } from '../storage-check/cases.js'
import { answered, firstTry, swept } from '../storage-check/first-try.js'
import { type CheckProgress, checkProgress } from '../storage-check/progress.js'
import { below, Scratch } from '../storage-check/scratch.js'
import { measureSpeed, type Speed } from '../storage-check/speed.js'

const SUITE = '@pbmkit/conformance'
const CASE_MS = 300_000
const GRACE_MS = 5_000
const MIB = 1024 * 1024

interface CheckOptions {
  profile?: string
  only?: string
  size: number
}

type Conformance = Pick<typeof import('@pbmkit/conformance'), 'storageConformance'>

/** What `pbm storage check` has to say. */
interface CheckReport {
  storage: string
  place: string
  profile?: string
  scratch: string
  cases: { total: number; passed: number; failed: number }
  failures: CaseResult[]
  speed?: Speed
  speedError?: string
}

/** `pbm storage`: what can be done with a storage itself. */
export function storageCommand(run: Run): Command {
  const command = new Command('storage').description('check the configured storage')
  command
    .command('check')
    .description('try everything on the live storage that a backup relies on, and measure it; leaves nothing behind')
    .option('--profile <name>', 'the storage of this profile; default: the main storage')
    .option('--only <text>', 'only the cases whose group or title holds this text')
    .option('--size <MiB>', 'size of the object that is measured; 0 measures nothing', wholeNumber('--size'), 128)
    .action((options: CheckOptions, self: Command) => run(self, (session) => check(session, options)))
  return command
}

async function check(session: Session, options: CheckOptions): Promise<void> {
  const leader = await session.leader()
  const storage = await requireStorage(leader, options.profile)
  const plugin = await session.plugins.storage(storage.type)
  const { storageConformance } = (await session.plugins.module(SUITE)) as Conformance
  const scratch = new Scratch()
  const cases = collect(storageConformance, { session, storage, plugin, scratch })
  const chosen = cases.filter(({ group, title }) => `${group}: ${title}`.includes(options.only ?? ''))

  const place = maskText(plugin.describe(storageOptions(storage, plugin)))
  const progress = checkProgress(session, chosen.length)
  const keeper = await openedAndTried(session, storage, place, scratch, progress)
  const report: CheckReport = {
    storage: storage.type,
    place,
    ...(isMain(options.profile) ? {} : { profile: options.profile }),
    scratch: scratch.prefix,
    cases: { total: chosen.length, passed: 0, failed: 0 },
    failures: [],
  }
  try {
    const results = await runCases(chosen, {
      signal: session.signal,
      graceMs: GRACE_MS,
      onEnd: (result) => {
        progress.ended(result)
        report.cases[result.error === undefined ? 'passed' : 'failed'] += 1
      },
    })
    report.failures.push(...results.filter(({ error }) => error !== undefined))
    if (options.size > 0 && !session.signal.aborted) {
      progress.phase('speed')
      const store = below(keeper, scratch.next())
      try {
        report.speed = await measureSpeed(store, options.size * MIB, session.signal)
      } catch (error) {
        report.speedError = errorReport(error).Error
      }
    }
    progress.phase('removing')
  } finally {
    progress.stop()
    await removeScratch(scratch, keeper, report.place)
  }
  if (session.signal.aborted)
    throw new PbmError('INTERRUPTED', 'interrupted; the scratch folder is removed from the storage')
  session.output.result(report, () => text(session, report))
  if (report.failures.length > 0 || report.speedError !== undefined) session.exitCode = 1
}

/** The store that outlives the cases. Rejects with what is wrong with the storage as a whole, and INTERRUPTED. */
async function openedAndTried(
  session: Session,
  storage: StorageConfig,
  place: string,
  scratch: Scratch,
  progress: CheckProgress,
): Promise<ObjectStore> {
  const over = new AbortController()
  try {
    progress.phase('opening')
    const keeper = await openStore(session.plugins, storage, contextOf(session, over.signal))
    // Ctrl-C ends the cases, not the program: the scratch folder has to go first.
    session.finishFirst = true
    const signal = AbortSignal.any([session.signal, over.signal])
    try {
      await answered(firstTry(below(keeper, scratch.next()), place, signal), place)
      return keeper
    } catch (error) {
      await swept(scratch.remove(keeper))
      await swept(keeper.close())
      throw session.signal.aborted ? new PbmError('INTERRUPTED', 'interrupted') : error
    }
  } catch (error) {
    progress.stop()
    over.abort()
    throw error
  }
}

function collect(
  storageConformance: Conformance['storageConformance'],
  given: { session: Session; storage: StorageConfig; plugin: StoragePlugin; scratch: Scratch },
) {
  const { session, storage, plugin, scratch } = given
  const { describe, it, cases } = new Collector()
  const folder = Symbol('folder of the case')
  const options = storageOptions(storage, plugin)
  storageConformance({
    describe,
    it,
    reservedNameBytes: scratch.nameBytes,
    caseMs: CASE_MS,
    options: () => ({ ...options, [folder]: scratch.next() }),
    plugin: {
      ...plugin,
      describe: (asked: object) => plugin.describe(asked),
      // With the real options, through the same wrappers as a backup.
      open: async (asked: { [folder]: string }, context: PluginContext) => {
        const signal = AbortSignal.any([context.signal, session.signal])
        return below(await openStore(session.plugins, storage, { ...context, signal }), asked[folder])
      },
    },
  })
  return cases
}

function contextOf(session: Session, signal: AbortSignal): PluginContext {
  return { signal, warn: (message) => session.output.warn(message) }
}

async function removeScratch(
  scratch: Scratch,
  keeper: Awaited<ReturnType<typeof openStore>>,
  place: string,
): Promise<void> {
  try {
    await scratch.remove(keeper)
  } catch (cause) {
    throw new PbmError('SCRATCH_LEFT', `the scratch folder ${scratch.prefix} could not be removed from ${place}`, {
      hint: 'Delete what is below it; no backup is there.',
      cause,
    })
  } finally {
    await keeper.close().catch(() => undefined)
  }
}

function text(session: Session, report: CheckReport): string {
  const { colours } = session.output
  const { cases, failures, speed, speedError } = report
  const lines = [
    `${report.storage} ${report.place}${report.profile === undefined ? '' : ` (profile ${report.profile})`}`,
  ]
  for (const { group, title, error } of failures)
    lines.push(`  ${colours.bad('failed')}  ${group}: ${title}`, indent(error ?? '', 10))
  const outcome = `${cases.passed} of ${cases.total} cases passed`
  lines.push(failures.length === 0 ? colours.good(outcome) : colours.bad(outcome))
  if (speed !== undefined)
    lines.push(
      table(
        [`ONE OBJECT OF ${prettySize(speed.bytes)}`, 'SPEED'],
        [
          ['up', `${prettySize(speed.upBytesPerSecond)}/s`],
          ['down', `${prettySize(speed.downBytesPerSecond)}/s`],
          ['small objects', `${speed.smallObjectsPerSecond}/s`],
        ],
        colours,
      ),
    )
  if (speedError !== undefined) lines.push(colours.bad(`The speed was not measured: ${speedError}`))
  return lines.join('\n')
}
