import {
  clusterMembers,
  findPlans,
  mergePlans,
  PbmError,
  type PlannedOplog,
  type RestoreCommand,
  type RestorePlan,
  rfc3339,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { prettySize } from '../output/bytes.js'
import { indent, table } from '../output/table.js'
import { send } from '../send.js'
import type { Session } from '../session.js'
import { waitForOperation } from '../wait/operation.js'
import { overallProgress } from '../wait/progress.js'
import { showProgress } from '../wait/progress-bar.js'

/** For people; JSON has all. */
const MOST_SHOWN = 50

/** Asks the agents beside the primaries what the restore would do, and tells that. Nothing is changed. */
export async function showPlan(session: Session, leader: MongoClient, restore: RestoreCommand, what: string) {
  const opid = await send(leader, { cmd: 'planRestore', restore })
  const plan = await waitForPlan(session, leader, opid)
  for (const warning of plan.warnings) session.output.warn(warning)
  session.output.result({ dryRun: true, snapshot: restore.backupName, ...plan }, () => text(session, plan, what))
}

async function waitForPlan(session: Session, leader: MongoClient, opid: string): Promise<RestorePlan> {
  const replsets = (await clusterMembers(leader)).map(({ rs }) => rs)
  const display = showProgress(session, 'dry run', opid)
  const plans: RestorePlan[] = []
  const ended = async () => {
    const notes = [...(await findPlans(leader, opid)).values()]
    const known = notes.flatMap(({ plan }) => plan ?? [])
    if (known.length === replsets.length) plans.push(...known)
    else display.update('running', overallProgress(notes.filter(({ progress }) => progress !== undefined)))
    return plans.length > 0
  }
  try {
    await waitForOperation(session, leader, { opid, title: 'dry run', event: 'planRestore' }, { ended })
  } finally {
    display.stop()
  }
  if (plans.length > 0) return mergePlans(plans)
  throw new PbmError('NO_ANSWER', 'the agent did not say what the restore would do', {
    hint: `See pbm logs -e planRestore -i ${opid} -t 0. Nothing was changed.`,
  })
}

function text({ output }: Session, plan: RestorePlan, what: string): string {
  const { namespaces, dropped, totals, objects, oplog, usersAndRoles, gainedRoles } = plan
  const row = (ns: string, about: string, documents: number, bytes: number) => [
    ...[ns, about, documents.toLocaleString('en-US'), prettySize(bytes)],
  ]
  const head = ['NAMESPACE', '', 'DOCUMENTS', 'SIZE']
  const restored = namespaces.map(({ ns, type, from, createdByOplog, intoExisting, documents, bytes }) => {
    const origin = createdByOplog === true ? 'created by the oplog' : from === undefined ? undefined : `from ${from}`
    const kind = type === 'collection' ? undefined : type
    const into = intoExisting === true ? 'what is missing' : undefined
    return row(ns, [kind, origin, into].filter((part) => part !== undefined).join(', ') || '-', documents, bytes)
  })
  const gone = dropped.map(({ ns, type, documents, bytes }) => row(ns, type, documents, bytes))
  const list = (rows: string[][], none: string) => {
    if (rows.length === 0) return indent(none)
    const more = rows.length > MOST_SHOWN ? `\nand ${rows.length - MOST_SHOWN} more` : ''
    return indent(table(head, rows.slice(0, MOST_SHOWN), output.colours) + more)
  }
  const counted = ({ namespaces: n, documents, bytes }: RestorePlan['totals']['restored']) =>
    `${n.toLocaleString('en-US')} namespaces, ${documents.toLocaleString('en-US')} documents, ${prettySize(bytes)}`
  return [
    `Dry run: nothing is changed. To be restored is ${what}.`,
    '',
    `Restored (${counted(totals.restored)} before the oplog):`,
    list(restored, 'nothing'),
    '',
    `Dropped first (${counted(totals.dropped)}):`,
    list(gone, 'nothing'),
    '',
    `${totals.staying.toLocaleString('en-US')} other collections and views stay as they are.`,
    usersText(usersAndRoles),
    ...gainedRoles.map(({ user, roles }) => `${user} would become an administrator: ${roles.join(', ')}.`),
    '',
    'Read from the storage:',
    indent(`documents: ${objects.length} objects, ${prettySize(sum(objects))}`),
    ...(['backup', 'chunk'] as const).map((kind) => indent(oplogText(oplog, kind))),
  ].join('\n')
}

function usersText(usersAndRoles: RestorePlan['usersAndRoles']): string {
  if (usersAndRoles === 'none') return 'Users and roles stay as they are.'
  return `Users and roles are replaced: ${usersAndRoles === 'all' ? 'all' : `those of ${usersAndRoles.join(', ')}`}.`
}

function oplogText(oplog: readonly PlannedOplog[], kind: PlannedOplog['kind']): string {
  const own = oplog.filter((piece) => piece.kind === kind)
  const of = kind === 'backup' ? 'oplog of the backup' : 'chunks of the oplog'
  if (own.length === 0) return `${of}: none`
  // Of all shards.
  const start = own.reduce((least, piece) => Math.min(least, piece.start), Number.POSITIVE_INFINITY)
  const end = own.reduce((most, piece) => Math.max(most, piece.end), 0)
  return `${of}: ${own.length} objects, ${prettySize(sum(own))}, ${rfc3339(start)} to ${rfc3339(end)}`
}

function sum(objects: readonly { readonly bytes: number }[]): number {
  return objects.reduce((total, { bytes }) => total + bytes, 0)
}
