import {
  type AgentDocument,
  agentErrors,
  type BackupFacts,
  type ClusterView,
  isStale,
  type LogEntry,
  type RestoreFacts,
  rfc3339,
  secondsOf,
} from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import type { Colours } from '../output/colour.js'
import { shortDuration } from '../output/durations.js'
import { logLine } from '../output/log-line.js'
import { indent, table } from '../output/table.js'
import { lastHeard } from '../preflight.js'
import { type OverallProgress, overallProgress, progressLine } from '../wait/progress.js'

/** What `pbm top` shows at one moment; the JSON of its snapshot. Times are Unix seconds. */
export interface TopSnapshot {
  readonly time: number
  readonly agents: readonly TopAgent[]
  readonly operations: readonly TopOperation[]
  readonly pitr: { readonly enabled: boolean; readonly slicing: readonly TopSlicer[] }
}

interface TopAgent {
  readonly rs: string
  readonly node: string
  /** As the server calls it: `PRIMARY`. */
  readonly state: string
  readonly lagSeconds: number
  readonly errors: readonly string[]
}

interface TopOperation {
  readonly type: string
  readonly name?: string
  readonly status?: string
  readonly nodes: readonly string[]
  readonly stale?: true
  readonly progress?: OverallProgress
}

interface TopSlicer {
  readonly rs: string
  readonly node: string
  readonly lagSeconds?: number
  readonly error?: string
}

/** Pure. */
export function topSnapshot(view: ClusterView): TopSnapshot {
  const { now, agents, pitr } = view
  return {
    time: secondsOf(now),
    agents: agents.map((agent) => toAgent(agent, now)),
    operations: operationsOf(view),
    pitr: { enabled: pitr?.enabled === true, slicing: slicersOf(view) },
  }
}

function toAgent(agent: AgentDocument, now: Timestamp): TopAgent {
  const { rs, n: node, str: state, repl_lag: lagSeconds } = agent
  const errors = isStale(agent.hb, now) ? [lastHeard(agent, now)] : agentErrors(agent)
  return { rs, node, state, lagSeconds, errors }
}

function operationsOf({ locks, backups, restores, now }: ClusterView): TopOperation[] {
  const held = Map.groupBy(
    locks.filter(({ type }) => type !== 'pitr'),
    ({ type, opid }) => `${type} ${opid}`,
  )
  return [...held.values()].flatMap((own) => {
    const [lock] = own
    if (lock === undefined) return []
    const records: readonly (BackupFacts | RestoreFacts)[] = lock.type === 'backup' ? backups : restores
    const record = records.find(({ opid }) => opid === lock.opid)
    const progress = overallProgress(record?.replsets ?? [])
    return [
      {
        type: lock.type,
        nodes: own.map(({ replset, node }) => `${replset}/${node}`),
        ...(record !== undefined && { name: record.name, status: record.status }),
        ...(own.every(({ hb }) => isStale(hb, now)) && { stale: true as const }),
        ...(progress !== undefined && { progress }),
      },
    ]
  })
}

function slicersOf({ slicing, locks, now }: ClusterView): TopSlicer[] {
  const live = locks.filter(({ type, hb }) => type === 'pitr' && !isStale(hb, now))
  return live.map(({ replset: rs, node }) => {
    const told = slicing?.replsets.find((one) => one.name === rs && one.node === node)
    const stored = told?.stored instanceof Timestamp ? secondsOf(told.stored) : undefined
    return {
      ...{ rs, node },
      ...(stored !== undefined && { lagSeconds: Math.max(0, secondsOf(now) - stored) }),
      ...(told?.error !== undefined && { error: told.error }),
    }
  })
}

/** As text, with the newest lines of the log. Pure. */
export function topText(
  snapshot: TopSnapshot,
  log: readonly LogEntry[],
  { colours, columns }: { readonly colours: Colours; readonly columns: number },
): string {
  const { time, agents, operations, pitr } = snapshot
  const rows = agents.map(({ rs, node, state, lagSeconds, errors }) => [
    `${rs}/${node}`,
    state,
    lagSeconds === 0 ? '-' : shortDuration(lagSeconds * 1000),
    errors.length === 0 ? colours.good('OK') : colours.bad(errors.join('; ').replaceAll(/\s+/g, ' ')),
  ])
  const running = operations.map(({ type, name = '', status = '', nodes, stale, progress }) => {
    const line = progressLine(`${type} ${name}`.trim(), status, progress, columns - 2)
    return `${line}\n${colours.quiet(`  on ${nodes.join(', ')}`)}${stale === true ? colours.bad(', which are dead') : ''}`
  })
  const slicing = pitr.slicing.map(({ rs, node, lagSeconds, error }) => {
    const behind = lagSeconds === undefined ? '' : `: ${shortDuration(lagSeconds * 1000)} behind`
    return `${rs}/${node}${behind}${error === undefined ? '' : ` ${colours.bad(error)}`}`
  })
  const off = pitr.enabled ? colours.caution('on, but nobody stores the oplog') : 'off'
  const parts: [string, string][] = [
    ['Agents', rows.length === 0 ? 'none' : table(['MEMBER', 'STATE', 'LAG', 'CONDITION'], rows, colours)],
    ['Running', running.join('\n') || 'nothing'],
    ['Point-in-time recovery', slicing.join('\n') || off],
    ['Log', log.map((entry) => logLine(entry, rfc3339, colours, false)).join('\n') || 'empty'],
  ]
  const head = `${colours.strong('pbmkit')}  ${rfc3339(time)}`
  return [head, ...parts.map(([title, text]) => `${colours.strong(title)}\n${indent(text)}`)].join('\n\n')
}
