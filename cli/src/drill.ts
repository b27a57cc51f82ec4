import { type BackupDocument, type DrillReport, type LastDrill, lastDrill, readDrills } from '@pbmkit/core'
import type { Colours } from './output/colour.js'
import { shortDuration } from './output/durations.js'
import { indent } from './output/table.js'
import { agoText } from './verification.js'

/** For people; JSON has all. */
const MOST_SHOWN = 20

/** What a drill has found, in words. */
export function drillText(reports: readonly DrillReport[], colours: Colours): string {
  return reports.map((report) => replsetText(report, colours)).join('\n')
}

function replsetText(report: DrillReport, colours: Colours): string {
  const { backup, rs, node, result, restoreSeconds, totalSeconds, collections, documents, indexes, more } = report
  const verdict = result === 'good' ? colours.good('all is right') : colours.bad('failed')
  const lines = [`Drill of ${backup}, ${rs} (beside ${node}): ${verdict}`]
  if (restoreSeconds > 0) {
    const looked = `with what was looked at ${secondsText(totalSeconds)}`
    lines.push(indent(`Restored in ${secondsText(restoreSeconds)}; ${looked}`))
    const of = (count: number) => count.toLocaleString('en-US')
    lines.push(indent(`${of(collections)} collections, ${of(documents)} documents, ${of(indexes)} indexes, all read`))
  }
  for (const { ns, fault } of report.checks)
    lines.push(indent(`Check of ${ns}: ${fault === undefined ? colours.good('right') : colours.bad(fault)}`))
  const faults = report.faults.filter((fault) => !fault.startsWith('check of '))
  lines.push(...faults.slice(0, MOST_SHOWN).map((fault) => indent(colours.bad(fault))))
  const hidden = more + Math.max(0, faults.length - MOST_SHOWN)
  if (hidden > 0) lines.push(indent(`and ${hidden} more, with -o json`))
  return lines.join('\n')
}

/** Of a backup in a table: `12s (2 d ago)`, `failed (2 d ago)`, `-`. `now` is Unix seconds. */
export function drilledWord(drill: LastDrill | undefined, now: number): string {
  if (drill === undefined) return '-'
  const ago = agoText(now - drill.at)
  return `${drill.result === 'good' ? secondsText(drill.restoreSeconds) : 'failed'} (${ago})`
}

export function drillOf({ drills, replsets }: Pick<BackupDocument, 'drills' | 'replsets'>): LastDrill | undefined {
  return lastDrill(readDrills(drills), replsets.length)
}

function secondsText(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)}s` : shortDuration(seconds * 1000)
}
