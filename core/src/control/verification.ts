import type { MongoClient } from 'mongodb'
import { BACKUPS, CONTROL_DATABASE, OPERATIONS } from '../mongo/control-names.js'
import type { Progress } from './backup-document.js'
import type { LockHeader } from './locks.js'
import type { VerificationReport, VerifiedBackup } from './verification-document.js'
import { toWire } from './wire.js'

/** How far a verification is, and in the end what it found: in its document in `pbmOpLog`, of which PBM reads the header. */
export interface VerificationNote {
  readonly progress?: Progress
  readonly report?: VerificationReport
}

export async function noteVerification(
  leader: MongoClient,
  { opid, replset }: Pick<LockHeader, 'opid' | 'replset'>,
  verification: VerificationNote,
): Promise<void> {
  const operations = leader.db(CONTROL_DATABASE).collection(OPERATIONS)
  await operations.updateOne({ opid, replset }, { $set: { verification: toWire(verification) } })
}

/** Undefined until the agent has noted something. */
export async function findVerification(leader: MongoClient, opid: string): Promise<VerificationNote | undefined> {
  const found = await leader.db(CONTROL_DATABASE).collection(OPERATIONS).findOne({ opid })
  return found?.verification as VerificationNote | undefined
}

/** Only of a backup that is still there as it was. */
export async function setVerified(
  leader: MongoClient,
  { name, opid }: { readonly name: string; readonly opid: string },
  verification: VerifiedBackup,
): Promise<void> {
  const set = { verification: toWire(verification) }
  await leader.db(CONTROL_DATABASE).collection(BACKUPS).updateOne({ name, opid }, { $set: set })
}
