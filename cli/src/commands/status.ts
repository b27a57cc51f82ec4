import { isMain, PbmError, readRunDocuments, requireProfile } from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient } from 'mongodb'
import { EXIT, errorReport, usageError } from '../errors.js'
import { NO_CONFIG } from '../no-configuration.js'
import type { Colours } from '../output/colour.js'
import { indent } from '../output/table.js'
import { addRemappingOption, type RemappingOption, remappingOf } from '../replset-remapping.js'
import { notificationsOf, notificationsText, schedulesOf, schedulesText } from '../schedules.js'
import type { Run, Session } from '../session.js'
import { backupsSection, backupsText } from '../status/backups.js'
import { clusterSection, clusterText } from '../status/cluster.js'
import { type StoredHistory, storedHistory } from '../status/history.js'
import { pitrSection, pitrText } from '../status/pitr.js'
import { runningSection, runningText } from '../status/running.js'

interface StatusOptions extends RemappingOption {
  sections: string[]
  priority?: boolean
  profile?: string
}

interface Section {
  readonly title: string
  /** The JSON value and its text; each read on its own, so that one that fails does not hide the others. */
  read(
    session: Session,
    leader: MongoClient,
    options: StatusOptions,
    history: StoredHistory,
  ): Promise<{ json: unknown; text: (colours: Colours) => string }>
}

const SECTIONS: Readonly<Record<string, Section>> = {
  cluster: {
    title: 'Cluster',
    read: async (_session, leader, { priority = false }) => {
      const json = await clusterSection(leader, priority)
      return { json, text: (colours) => clusterText(json, priority, colours) }
    },
  },
  pitr: {
    title: 'Point-in-time recovery',
    read: async (_session, leader, _options, history) => {
      const json = await pitrSection(leader, history)
      return { json, text: (colours) => pitrText(json, colours) }
    },
  },
  running: {
    title: 'Running',
    read: async (_session, leader) => {
      const json = await runningSection(leader)
      return { json, text: (colours) => runningText(json, colours) }
    },
  },
  backups: {
    title: 'Backups',
    read: async (session, leader, options, history) => {
      const json = await backupsSection(session, leader, history, options.profile, remappingOf(session, options))
      return { json, text: (colours) => backupsText(json, colours) }
    },
  },
  schedules: {
    title: 'Schedules',
    read: async ({ clock }, leader) => {
      const json = schedulesOf(await readRunDocuments(leader), clock.now())
      return { json, text: (colours) => (json.length === 0 ? 'None.' : schedulesText(json, colours)) }
    },
  },
  notifications: {
    title: 'Notifications',
    read: async (_session, leader) => {
      const json = notificationsOf(await readRunDocuments(leader))
      return { json, text: (colours) => (json.length === 0 ? 'None.' : notificationsText(json, colours)) }
    },
  },
}

/** `pbm status`: agents, point-in-time recovery, what runs, and every backup with its state. */
export function statusCommand(run: Run): Command {
  const command = new Command('status')
    .alias('s')
    .description('show the agents, what runs, all backups with their state, and what is scheduled')
    .option(
      '-s, --sections <name>',
      'only this section (repeatable, or comma list): cluster, pitr, running, backups, schedules, notifications',
      (text: string, known: string[]) => [...known, ...text.split(',')],
      [] as string[],
    )
    .option('-p, --priority', "with the agents' priorities for backups and point-in-time recovery")
    .option('--profile <name>', 'only the backups on the storage of this profile; main is the main storage')
  return addRemappingOption(command).action((options: StatusOptions, self: Command) =>
    run(self, (session) => status(session, options)),
  )
}

async function status(session: Session, options: StatusOptions): Promise<void> {
  for (const name of options.sections)
    if (!Object.hasOwn(SECTIONS, name))
      throw usageError(`--sections: there is no section '${name}'`, `Choose of ${Object.keys(SECTIONS).join(', ')}.`)
  const leader = await session.leader()
  if (!isMain(options.profile)) await requireProfile(leader, options.profile)
  const wanted = Object.entries(SECTIONS).filter(
    ([name]) => options.sections.length === 0 || options.sections.includes(name),
  )
  const history = storedHistory(leader)
  const results = await Promise.all(
    wanted.map(async ([name, section]) => ({
      name,
      title: section.title,
      ...(await tolerant(session, () => section.read(session, leader, options, history))),
    })),
  )
  const { output } = session
  // What PBM does not have and nobody has set, only where it is asked for.
  const told = results.filter(({ json }) => !isEmptyList(json) || options.sections.length > 0)
  output.result(Object.fromEntries(told.map(({ name, json }) => [name, json])), () =>
    told
      .map(({ title, text }) => `${output.colours.strong(`${title}:`)}\n${indent(text(output.colours))}`)
      .join('\n\n'),
  )
}

function isEmptyList(json: unknown): boolean {
  return Array.isArray(json) && json.length === 0
}

async function tolerant(session: Session, read: () => ReturnType<Section['read']>) {
  try {
    return await read()
  } catch (error) {
    // Without a configuration all else of the status is still worth seeing.
    if (error instanceof PbmError && error.code === 'CONFIG_MISSING')
      return {
        json: { type: '', path: '', snapshot: [], pitrChunks: { size: 0 }, error: error.message },
        text: (colours: Colours) => colours.caution(NO_CONFIG),
      }
    if (!(error instanceof PbmError)) throw error
    const report = errorReport(error)
    // Told beside the others, and to scripts by the exit code.
    session.exitCode = EXIT.failure
    return { json: { error: report.Error }, text: (colours: Colours) => colours.bad(`Error: ${report.Error}`) }
  }
}
