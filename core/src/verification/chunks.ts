import { Tally } from '../archive/tally.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import type { ChunksVerification } from '../control/verification-document.js'
import { optime } from '../oplog/entry.js'
import { compressionBySuffix } from '../plugin-host/naming.js'
import { damaged, isMissing, objectError } from '../restore/data/stored-objects.js'
import { type ReadPiece, verifyBorder, verifyOverlap } from '../restore/verify/pieces.js'
import type { ChunksToVerify, VerifyContext } from './context.js'
import { Findings, type Look } from './findings.js'
import { missingChunks } from './missing-chunks.js'
import { readPieceWhole } from './oplog.js'

export type VerifiedChunks = Omit<ChunksVerification, 'ranges'> & {
  readonly more: number
  /** Those that are not damaged. */
  readonly good: readonly PitrChunkDocument[]
}

/** Reads the chunks through, as far as the sample goes, and how they join. Rejects as `verifyBackup`. */
export async function verifyChunks(asked: ChunksToVerify, context: VerifyContext): Promise<VerifiedChunks> {
  const { sample, signal, progress } = context
  const findings = new Findings(signal, (bytes) => progress.add(0, bytes))
  const wanted = asked.chunks.filter(asked.isWanted)
  const total = wanted.reduce((sum, { fname, size }) => sum + (sample(fname) ? size : 0), 0)
  progress.phase('chunks', { bytes: total, documents: 0 })
  const gaps: ChunksVerification['gaps'][number][] = []
  for (const own of byReplset(wanted)) gaps.push(...(await verifyLine(own, findings, asked, context)))
  for (const { object, rs } of await missingChunks(asked, context))
    findings.damage({ object, rs }, 'BACKUP_OBJECT_MISSING', `${object} is missing on the storage`)
  const { damages, unread, notes, more, looked, result } = findings
  return {
    ...{ result, damages, unread, notes, more, ...looked, gaps },
    good: asked.chunks.filter(({ fname }) => !findings.damaged.has(fname)),
  }
}

/** The chunks of each replica set, in order of their start. */
function byReplset(chunks: readonly PitrChunkDocument[]): PitrChunkDocument[][] {
  const lines = new Map<string, PitrChunkDocument[]>()
  for (const chunk of chunks.toSorted((a, b) => a.start_ts.compare(b.start_ts) || a.end_ts.compare(b.end_ts))) {
    const own = lines.get(chunk.rs)
    if (own === undefined) lines.set(chunk.rs, [chunk])
    else own.push(chunk)
  }
  return [...lines.values()]
}

/** The chunks of one replica set. Gives the gaps between them. */
async function verifyLine(
  chunks: readonly PitrChunkDocument[],
  findings: Findings,
  asked: ChunksToVerify,
  context: VerifyContext,
): Promise<ChunksVerification['gaps'][number][]> {
  const gaps: ChunksVerification['gaps'][number][] = []
  let end: bigint | undefined
  let furthest: ReadPiece | undefined
  for (const chunk of chunks) {
    const [start, chunkEnd] = [optime(chunk.start_ts), optime(chunk.end_ts)]
    if (end !== undefined && start > end) gaps.push({ rs: chunk.rs, start: Number(end >> 32n), end: chunk.start_ts.t })
    const { fname: object, rs } = chunk
    const before = furthest
    const read = await findings.look({ object, rs }, (look) => verifyChunk(chunk, findings, asked, context, look))
    if (read !== undefined && before !== undefined) {
      await findings.look({ object, rs }, () => verifyJoint(before, read, context))
    }
    if (end !== undefined && chunkEnd <= end) continue
    end = chunkEnd
    furthest = read
  }
  return gaps
}

/** Undefined where it was not read. */
async function verifyChunk(
  chunk: PitrChunkDocument,
  findings: Findings,
  { checksums, listed }: ChunksToVerify,
  { store, host, sample, signal }: VerifyContext,
  look: Look,
): Promise<ReadPiece | undefined> {
  const { fname: object, size, encryption, start_ts, end_ts } = chunk
  findings.seen(size)
  if (size === 0) throw damaged(`${object} is empty`)
  const noted = listed?.all.get(object)
  // Stored twice, one of them is right.
  const sums = [...checksums.of(chunk), ...(noted === undefined ? [] : [{ ...noted, size }])]
  const sizes = checksums.of(chunk).map((sum) => sum.size)
  if (encryption === undefined && sizes.length > 0 && !sizes.includes(size))
    throw damaged(`${object} has ${size} bytes instead of ${sizes.join(' or ')}`)
  if (!sample(object)) return undefined
  const crcs = new Set(sums.flatMap(({ crc }) => crc ?? []))
  const compression = await host.compression(compressionBySuffix(object))
  const crc = crcs.size === 1 ? [...crcs][0] : undefined
  const piece = { object, start: optime(start_ts), end: optime(end_ts), compression, crc }
  const options = { isBounded: true, mustReach: piece.end, signal }
  const whole = await readPieceWhole(store, piece, options, look).catch(async (error: unknown) => {
    const isDeleted = isMissing(error) && (await listed?.isListed(chunk)) !== true
    if (!isDeleted) throw error
    findings.note(`${object} was deleted meanwhile`)
  })
  if (whole === undefined) return undefined
  const { packed, ...read } = whole
  const storedCrcs = sums.flatMap(({ storedCrc }) => storedCrc ?? [])
  if (storedCrcs.length === 0) return read
  // A codec may stop at its own end mark, without a look at whether that is the end of the object.
  const isWhole = encryption !== undefined || packed.size === size
  const stored = isWhole ? packed.crcText() : await crcOf(object, { store, signal })
  if (!storedCrcs.includes(stored)) throw damaged(`${object} is altered: the checksum of what is stored is wrong`)
  return read
}

async function crcOf(object: string, { store, signal }: Pick<VerifyContext, 'store' | 'signal'>): Promise<string> {
  const tally = new Tally()
  try {
    for await (const bytes of await store.read(object, { signal })) tally.add(bytes)
  } catch (error) {
    throw objectError(error, object)
  }
  return tally.crcText()
}

/** Neighbours have the entry at their border, and where they overlap the same changes. */
async function verifyJoint(before: ReadPiece, after: ReadPiece, { store, signal }: VerifyContext): Promise<void> {
  if (after.piece.start === before.piece.end) verifyBorder(before, after)
  else if (after.piece.start < before.piece.end)
    await verifyOverlap(store, before.piece, after.piece, { end: after.piece.end, signal })
}
