import type { BackupVerification, ChunksVerification, VerificationReport } from '../control/verification-document.js'
import type { VerifiedChunks } from './chunks.js'

/** A report is one document of the database, which may have 16 MiB, and a storage may hold anything. */
const MOST_ENTRIES = 1_000
const MOST_BYTES = 1024 * 1024
/** The newest; of these lists the others must not be crowded out. */
const MOST_RANGES = 200

type ListName = 'ranges' | 'damages' | 'unread' | 'gaps' | 'lost' | 'notes'
type Lists = Partial<Readonly<Record<ListName, readonly unknown[]>>>

/** In this order, as long as there is room. */
const LISTS: readonly ListName[] = ['ranges', 'damages', 'unread', 'gaps', 'lost', 'notes']

/** The report of what was found, in bounds: what finds no room in it is counted. Pure. */
export function reportOf(
  found: readonly (BackupVerification & { readonly more: number })[],
  foundChunks: (ChunksVerification & Pick<VerifiedChunks, 'more' | 'good'>) | undefined,
  { readData }: { readonly readData: number },
): VerificationReport {
  const results = [...found, ...(foundChunks === undefined ? [] : [foundChunks])].map(({ result }) => result)
  const result = results.includes('damaged') ? 'damaged' : results.includes('unread') ? 'unread' : 'good'
  let more = (foundChunks?.more ?? 0) + found.reduce((sum, one) => sum + one.more, 0)
  let [entries, bytes] = [0, 0]
  const isRoomFor = (entry: unknown) => {
    const size = Buffer.byteLength(JSON.stringify(entry))
    const fits = entries < MOST_ENTRIES && bytes + size <= MOST_BYTES
    if (fits) [entries, bytes] = [entries + 1, bytes + size]
    else more += 1
    return fits
  }
  const within = <T extends Lists>(part: T, key: ListName): T => {
    const all = part[key]
    if (all === undefined) return part
    const list = key === 'ranges' ? all.slice(-MOST_RANGES) : all
    more += all.length - list.length
    return { ...part, [key]: list.filter(isRoomFor) }
  }
  let backups = found.map(({ more: _, ...one }): BackupVerification => one)
  let chunks = foundChunks === undefined ? undefined : withoutOwn(foundChunks)
  for (const key of LISTS) {
    backups = backups.map((one) => within(one, key))
    chunks &&= within(chunks, key)
  }
  return { result, readData, backups, ...(chunks === undefined ? {} : { chunks }), more }
}

function withoutOwn({
  more: _more,
  good: _good,
  ...told
}: ChunksVerification & Pick<VerifiedChunks, 'more' | 'good'>): ChunksVerification {
  return told
}
