import { cpus, release, totalmem, type } from 'node:os'
import type { Cost } from './measure.js'

export interface Row {
  readonly what: string
  readonly codec: string
  readonly cost: Cost
  /** Bytes on the storage, where that is of interest. */
  readonly stored?: number | undefined
  /** The peer of the same work: how its wall time and CPU compare. */
  readonly beside?: { readonly name: string; readonly cost: Cost } | undefined
}

export function costText({ wall, cpu, rss }: Cost): string {
  return `${wall.toFixed(1)} s, ${cpu.toFixed(1)} s of CPU, ${rss.toFixed(0)} MB`
}

/** What was measured on. */
export function machineText(): string {
  const processors = cpus()
  return `${processors.length} × ${processors[0]?.model.trim() ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}, Node.js ${process.version}; client and server share it`
}

/** The measurements as a Markdown table under the machine they were made on. */
export function markdown(rows: readonly Row[], dataBytes: number): string {
  const head = ['work', 'codec', 'wall s', 'CPU s', 'peak RSS MB', 'stored MB', 'beside', 'wall ratio', 'CPU ratio']
  const lines = rows.map(({ what, codec, cost, stored, beside }) => [
    what,
    codec,
    cost.wall.toFixed(1),
    cost.cpu.toFixed(1),
    cost.rss.toFixed(0),
    stored === undefined ? '' : (stored / 1e6).toFixed(0),
    beside?.name ?? '',
    beside === undefined ? '' : (cost.wall / beside.cost.wall).toFixed(2),
    beside === undefined ? '' : (cost.cpu / beside.cost.cpu).toFixed(2),
  ])
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return `${(dataBytes / 1e6).toFixed(0)} MB of data. ${machineText()}.\n\n${table}\n`
}
