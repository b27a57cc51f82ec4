import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DatabaseState, type MongodProcess, snapshotState } from '@pbmkit/conformance/testbed'
import type { AgentProcess } from './cluster.support.js'
import { hashes, withClient } from './physical-restored.support.js'

export interface LockedState {
  readonly host: string
  readonly hashes: Record<string, string>
  readonly state: DatabaseState
}

/**
 * What a member has while a physical backup has it locked. A lock of the test's own on top keeps it so for longer, which the
 * backup sees nothing of. Undefined where the backup ended without a lock, or it was over too soon.
 */
export async function stateUnderLock(
  members: readonly { readonly mongod: MongodProcess; readonly agent: AgentProcess }[],
  isOver: () => boolean,
): Promise<LockedState | undefined> {
  const dbPaths = await Promise.all(
    members.map(({ mongod }) =>
      withClient(mongod.uri(), async (client) => {
        const { parsed } = await client.db('admin').command({ getCmdLineOpts: 1 })
        return String(parsed.storage.dbPath)
      }),
    ),
  )
  const recordOf = (dbPath: string) => {
    try {
      return JSON.parse(readFileSync(join(dbPath, '.pbmkit', 'lock.json'), 'utf8')).cursor as Cursor | undefined
    } catch {
      return undefined
    }
  }
  while (!isOver()) {
    for (const [index, { mongod, agent }] of members.entries()) {
      const dbPath = dbPaths[index] ?? ''
      const cursor = recordOf(dbPath)
      if (cursor === undefined) continue
      agent.signal('SIGSTOP')
      return await withClient(mongod.uri(), async (client) => {
        await client.db('admin').command({ fsync: 1, lock: true })
        try {
          const { ino, mtimeNs } = await stat(join(dbPath, 'WiredTiger.backup'), { bigint: true })
          if (String(ino) !== cursor.inode || String(mtimeNs) !== cursor.modified) return undefined
          agent.signal('SIGCONT')
          return { host: mongod.host, hashes: await hashes(client), state: await snapshotState(client) }
        } finally {
          const { lockCount } = await client.db('admin').command({ fsyncUnlock: 1 })
          assert.ok(Number(lockCount) <= 1)
        }
      }).finally(() => agent.signal('SIGCONT'))
    }
    await sleep(1)
  }
  return undefined
}

interface Cursor {
  readonly inode: string
  readonly modified: string
}
