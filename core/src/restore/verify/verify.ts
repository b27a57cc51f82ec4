import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import type { Snapshot } from '../data/snapshot.js'
import type { OplogPiece } from '../data/stored-objects.js'
import { type OplogVerification, verifyPieces } from './oplog.js'

export interface VerifyOptions
  extends CallOptions,
    Pick<
      OplogVerification,
      'start' | 'end' | 'exactEnds' | 'mayBeCut' | 'routing' | 'asked' | 'newcomers' | 'onCommand' | 'onTouch'
    > {
  readonly width: number
  /** All pieces that will be replayed, in order of their start. */
  readonly oplog: readonly OplogPiece[]
  readonly onBytes?: (bytes: number) => void
}

/**
 * Reads a whole backup through without touching the target: every object must be there and have its size and checksum,
 * or decompress to what has them; then its oplog and the chunks after it, see {@link verifyPieces}.
 */
export async function verifySnapshot(store: ObjectStore, snapshot: Snapshot, options: VerifyOptions): Promise<void> {
  const { width, signal, onBytes } = options
  await snapshot.verifyNamespaces({ width, signal, onBytes })
  await verifyPieces(store, options.oplog, options)
}
