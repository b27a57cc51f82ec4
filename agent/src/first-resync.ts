import { type CommandDocument, listBackups, listChunks, listLiveLocks, nodeInfo, readConfig, until } from '@pbmkit/core'
import { ObjectId } from 'mongodb'
import type { AgentContext } from './operations/context.js'

/** How often it is looked whether an operation that was under way at the start has ended. */
const LOCKED_POLL_MS = 1_000

/**
 * Whether nothing is listed, so that the storage is to be read without anybody asking. Says so when no operation is under way,
 * beside which the resync would be refused, and goes by what is true then: a backup that ended meanwhile is listed.
 */
export async function needsFirstResync(
  { leader, node, clock }: Pick<AgentContext, 'leader' | 'node' | 'clock'>,
  signal: AbortSignal,
): Promise<boolean> {
  const settled = async () => {
    const [config, info] = await Promise.all([readConfig(leader), nodeInfo(node)])
    if (config === undefined || !info.isClusterLeader || signal.aborted) return 'not needed'
    // Before the lists: what ends between the two looks is listed.
    const locks = await listLiveLocks(leader)
    const [backups, chunks] = await Promise.all([
      listBackups(leader, { profile: null, status: 'done', limit: 1 }),
      listChunks(leader),
    ])
    if (backups.length > 0 || chunks.length > 0) return 'not needed'
    return locks.length === 0 ? 'needed' : undefined
  }
  return (await until(settled, { clock, signal, everyMs: LOCKED_POLL_MS })) === 'needed'
}

/** As if somebody had sent it, but of no record among the commands. */
export function resyncCommand(): CommandDocument {
  return { _id: new ObjectId(), ts: Math.floor(Date.now() / 1000), cmd: 'resync', resync: { unasked: true } }
}
