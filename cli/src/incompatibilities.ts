import { type BackupDocument, clusterMembers, incompatibility, nodeInfo } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/** Backup name → why this cluster can't restore it; backups it can restore are not in the map. */
export async function incompatibilities(
  leader: MongoClient,
  backups: readonly BackupDocument[],
  remap: Readonly<Record<string, string>> = {},
): Promise<Map<string, string>> {
  if (backups.length === 0) return new Map()
  const [node, replsets] = await Promise.all([nodeInfo(leader), clusterMembers(leader)])
  const cluster = {
    fcv: node.fcv ?? '',
    mongodbVersion: node.version,
    replsets: replsets.map(({ rs }) => rs),
    leaderReplset: node.rs,
  }
  return new Map(
    backups.flatMap((backup) => {
      const reason = incompatibility(backup, cluster, remap)
      return reason === undefined ? [] : [[backup.name, reason] as const]
    }),
  )
}
