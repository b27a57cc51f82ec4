import type { Collection, MongoClient } from 'mongodb'
import { PbmError } from '../errors.js'
import { configCollection } from './config.js'
import { isDuplicateKey } from './wire.js'

/**
 * Ours, in `pbmConfig`: what happens by itself, and who is told. Not in the main document: PBM's `config --file` replaces that as
 * a whole. Neither main nor a profile, by what stands in `profile`, so PBM never finds them (PBM: control-plane.md §1.2, step 3).
 */
export const SCHEDULES_ID = 'pbmkit.schedules'
export const NOTIFICATIONS_ID = 'pbmkit.notifications'
/** How far they are. Apart, so that nobody who changes the one loses the other. */
export const SCHEDULE_STATE_ID = 'pbmkit.schedules.state'
export const NOTICE_STATE_ID = 'pbmkit.notifications.state'

export interface OwnDocument {
  _id: string
  profile: 'pbmkit'
  /** Moves with each change. */
  rev?: number
  [field: string]: unknown
}

export function ownDocuments(leader: MongoClient): Collection<OwnDocument> {
  return configCollection(leader) as unknown as Collection<OwnDocument>
}

const ROUNDS = 20

/** Reads, changes and writes one document; anew where others came between. Rejects with CONFIG_CONFLICT. */
export async function rewrite<Result>(
  leader: MongoClient,
  _id: string,
  change: (document: OwnDocument | undefined) => { fields: Record<string, unknown>; result: Result },
): Promise<Result> {
  for (let round = 0; round < ROUNDS; round++) {
    const document = (await ownDocuments(leader).findOne({ _id })) ?? undefined
    const { fields, result } = change(document)
    const rev = (document?.rev ?? 0) + 1
    const next = { profile: 'pbmkit' as const, rev, ...fields }
    if (document === undefined) {
      const isNew = await ownDocuments(leader)
        .insertOne({ _id, ...next })
        .then(
          () => true,
          (error: unknown) => {
            if (!isDuplicateKey(error)) throw error
            return false
          },
        )
      if (isNew) return result
      continue
    }
    const { matchedCount } = await ownDocuments(leader).replaceOne({ _id, rev: document.rev ?? null } as object, next)
    if (matchedCount === 1) return result
  }
  throw new PbmError('CONFIG_CONFLICT', 'the configuration is being changed by others', { hint: 'try again' })
}
