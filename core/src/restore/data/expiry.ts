import type { MongoClient } from 'mongodb'
import { RawValue } from '../../mongo/raw-command.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import type { WantedExpiry } from '../../oplog/replay/index-catalog.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'

/** Lets documents of clustered collections and time series expire again, once nothing of them is still to change. */
export async function setExpiry(
  client: MongoClient,
  wanted: readonly WantedExpiry[],
  { guard }: { readonly guard: DeadlineGuard },
): Promise<void> {
  for (const { ns, expireAfterSeconds } of wanted) {
    guard.throwIfStopped()
    const value = RawValue.element(expireAfterSeconds)
    await client.db(databaseOf(ns)).command({ collMod: collectionOf(ns), expireAfterSeconds: value })
  }
}
