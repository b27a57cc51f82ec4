import type { MongoClient } from 'mongodb'
import { PbmError } from '../errors.js'
import { listAgents } from './agents.js'

/**
 * For what only our agents do. An agent of PBM's would pass the command over, or carry it out without what it does not know.
 * Throws `RESTORE_UNSUPPORTED`.
 */
export async function requireOwnAgents(leader: MongoClient, option: string): Promise<void> {
  const foreign = (await listAgents(leader)).filter(
    ({ plugins, pbmkit }) => plugins === undefined && pbmkit === undefined,
  )
  if (foreign.length === 0) return
  const named = foreign.map(({ rs, n }) => `${rs}/${n}`).join(', ')
  throw new PbmError('RESTORE_UNSUPPORTED', `an agent of PBM runs at ${named}, and does not know ${option}`, {
    hint: 'Run pbm-agent of pbmkit there instead; an agent that was stopped is forgotten after 35 seconds.',
  })
}
