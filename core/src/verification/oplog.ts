import { Tally } from '../archive/tally.js'
import { requireWellFormed } from '../bson/well-formed.js'
import type { BackupReplset } from '../control/backup-document.js'
import { earlier, optime } from '../oplog/entry.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { oplogPieces } from '../restore/data/snapshot.js'
import { damaged, type OplogPiece } from '../restore/data/stored-objects.js'
import { verifyCoverage } from '../restore/verify/oplog.js'
import { type ReadPiece, readInOrder } from '../restore/verify/pieces.js'
import { isLegacyBackupOplog } from '../store/layout/pbm-version.js'
import type { PartContext } from './context.js'
import type { Look } from './findings.js'

/** The oplog of one replica set's part of a backup: all pieces there, without a gap up to its end, each in order. */
export async function verifyOplog(replset: BackupReplset, part: PartContext): Promise<OplogPiece[] | undefined> {
  const { store, backup, compression, findings, signal, queue } = part
  const about = { object: replset.oplog_name ?? '', rs: replset.name }
  const end = earlier(optime(replset.last_write_ts), optime(backup.last_write_ts))
  const pieces = await findings.look(about, async () => {
    const found = await oplogPieces(store, backup, replset, compression, { signal })
    verifyCoverage(found, { start: optime(replset.first_write_ts), end })
    return found
  })
  const isExact = !isLegacyBackupOplog(backup.pbm_version)
  const sums = new Map(replset.oplog_objects?.map(({ name, storedCrc }) => [name, storedCrc]))
  for (const piece of pieces ?? []) {
    const { object } = piece
    const storedCrc = sums.get(object)
    queue({ object, rs: replset.name }, async (look) => {
      const mustReach = isExact ? earlier(piece.end, end) : undefined
      const { packed } = await readPieceWhole(store, piece, { isBounded: isExact, mustReach, signal }, look)
      if (storedCrc !== undefined && packed.crcText() !== storedCrc)
        throw damaged(`${object} is altered: the checksum of what is stored is wrong`)
    })
  }
  return pieces
}

/** Reads a piece through; where nothing vouches for its entries, down to their last value. */
export async function readPieceWhole(
  store: ObjectStore,
  piece: OplogPiece,
  options: CallOptions & { readonly isBounded: boolean; readonly mustReach: bigint | undefined },
  { onBytes }: Look,
): Promise<ReadPiece & { readonly packed: Tally }> {
  const packed = new Tally()
  const read = await readInOrder(store, piece, {
    ...options,
    onStored: (chunk) => {
      packed.add(chunk)
      onBytes(chunk.length)
    },
    ...(piece.crc === undefined ? { onEntry: ({ raw }) => requireWellFormed(raw) } : {}),
  })
  return { ...read, packed }
}
