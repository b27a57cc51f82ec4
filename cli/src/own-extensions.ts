import { listAgents, PbmError } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/**
 * For what only our agents do. An agent of PBM's would pass the command over, or carry it out without what it does not know.
 * Throws `RESTORE_UNSUPPORTED`.
 */
export async function requireOwnAgents(leader: MongoClient, option: string): Promise<void> {
  const foreign = (await listAgents(leader)).filter(({ plugins }) => plugins === undefined)
  if (foreign.length === 0) return
  const named = foreign.map(({ rs, n }) => `${rs}/${n}`).join(', ')
  throw new PbmError('RESTORE_UNSUPPORTED', `an agent of PBM runs at ${named}, and does not know ${option}`, {
    hint: 'Run pbm-agent of pbmkit there instead; an agent that was stopped is forgotten after 35 seconds.',
  })
}
