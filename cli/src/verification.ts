import type {
  BackupDocument,
  BackupVerification,
  ChunksVerification,
  Damage,
  VerificationReport,
  VerifiedBackup,
} from '@pbmkit/core'
import { tableTime } from '@pbmkit/core'
import { prettySize } from './output/bytes.js'
import type { Colours } from './output/colour.js'
import { indent } from './output/table.js'

/** For people; JSON has all. */
const MOST_SHOWN = 20

/** What a verification has found, in words. */
export function reportText({ backups, chunks, readData, more }: VerificationReport, colours: Colours): string {
  const lines = backups.map((backup) => backupText(backup, colours))
  if (chunks !== undefined) lines.push(chunksText(chunks, colours))
  if (lines.length === 0) lines.push('There is nothing to verify.')
  if (more > 0) lines.push(`And ${more} more, for which there is no room here.`)
  if (readData < 100)
    lines.push(`Of the objects, ${readData} % were read; of the others only names and sizes were compared.`)
  return lines.join('\n')
}

function backupText(backup: BackupVerification, colours: Colours): string {
  const { name, result, restorable, lost } = backup
  const verdict = resultText(result, colours)
  const lines = [`Backup ${name}: ${verdict} (${lookedText(backup)})`, ...detailLines(backup)]
  if (result === 'damaged') lines.push(indent(`What can be restored: ${restorableText(restorable, lost)}`))
  return lines.join('\n')
}

function chunksText(chunks: ChunksVerification, colours: Colours): string {
  const { result, gaps, ranges } = chunks
  const lines = [`Stored oplog: ${resultText(result, colours)} (${lookedText(chunks)})`, ...detailLines(chunks)]
  for (const { rs, start, end } of gaps.slice(0, MOST_SHOWN))
    lines.push(indent(`${rs} has a gap from ${tableTime(start)} to ${tableTime(end)}`))
  const told = ranges.map(({ start, end }) => `${tableTime(start)} - ${tableTime(end)}`)
  lines.push(indent(`Can be restored to: ${told.length === 0 ? 'no time' : told.slice(-MOST_SHOWN).join(', ')}`))
  return lines.join('\n')
}

function detailLines({ damages, unread, notes }: Pick<BackupVerification, 'damages' | 'unread' | 'notes'>): string[] {
  const lines = [...damages.map(damageText), ...unread.map((text) => `not looked at: ${text}`), ...notes]
  const rest = lines.length > MOST_SHOWN ? [`and ${lines.length - MOST_SHOWN} more, with -o json`] : []
  return [...lines.slice(0, MOST_SHOWN), ...rest].map((line) => indent(line))
}

function damageText({ what, offset, ns }: Damage): string {
  const where = offset === undefined ? '' : ` (noticed after ${offset} bytes of it)`
  return `${what}${where}${ns === undefined ? '' : `; it has ${ns}`}`
}

function resultText(result: BackupVerification['result'], colours: Colours): string {
  switch (result) {
    case 'good':
      return colours.good('all is right')
    case 'damaged':
      return colours.bad('damaged')
    case 'unread':
      return colours.caution('could not be looked at as a whole')
    case 'gone':
      return 'deleted meanwhile'
  }
}

function lookedText({ objects, bytes, objectsRead, bytesRead }: BackupVerification | ChunksVerification): string {
  return `${objects} objects of ${prettySize(bytes)}; read ${objectsRead}, ${prettySize(bytesRead)}`
}

function restorableText(restorable: BackupVerification['restorable'], lost: readonly string[]): string {
  if (restorable === 'all') return 'all of it'
  if (restorable === 'none') return 'nothing of it'
  const named = lost.slice(0, MOST_SHOWN).join(', ')
  return `all but ${named}${lost.length > MOST_SHOWN ? ' and more' : ''}, by pbm restore --ns`
}

/** What a restore of the backup is begun with; undefined where nothing is known against it. */
export function damageWarning({ name, verification }: BackupDocument): string | undefined {
  if (verification?.result !== 'damaged') return undefined
  const [first] = verification.damages
  const what = first === undefined ? '' : `: ${first.what}`
  return `backup ${name} is damaged, as pbm verify found at ${tableTime(Number(verification.at))}${what}. Unless restore.verify is off, the agents look before anything is dropped.`
}

/** Of a backup in a table: `2d ago`, `damaged`, `-`. `now` is Unix seconds. */
export function verifiedWord(verification: VerifiedBackup | undefined, now: number): string {
  if (verification === undefined) return '-'
  const { at, result, readData } = verification
  const ago = agoText(now - Number(at))
  if (result === 'damaged') return `damaged (${ago})`
  if (result === 'unread') return `not readable (${ago})`
  return Number(readData) < 100 ? `${ago} (${readData} %)` : ago
}

/** `just now`, `5 min ago`, `3 h ago`, `2 d ago`. */
export function agoText(seconds: number): string {
  if (seconds < 60) return 'just now'
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  return `${Math.floor(seconds / 86_400)} d ago`
}
