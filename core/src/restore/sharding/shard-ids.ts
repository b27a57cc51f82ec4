import type { BackupDocument } from '../../control/backup-document.js'
import { PbmError } from '../../errors.js'
import { CONFIG_SHARD_ID, type ReplsetTopology } from '../../mongo/topology.js'

/** Name of a replica set in the backup → in the cluster; those of the same name are left out. */
export type ReplsetMap = Readonly<Record<string, string>>

/**
 * Refuses a backup that this cluster can't take as a whole: parts without a replica set for them, two for one, and config
 * servers for something else (PBM: control-plane.md §5.3, step 6). Throws `RESTORE_REPLSETS`.
 */
export function checkReplsets(backup: BackupDocument, cluster: readonly ReplsetTopology[], rsMap: ReplsetMap): void {
  const names = backup.replsets.map(({ name }) => name)
  const refuse = (message: string) =>
    new PbmError('RESTORE_REPLSETS', `Backup ${backup.name} is of ${names.join(', ')}: ${message}`, {
      hint: 'Say which is which with --replset-remapping, as <in this cluster>=<in the backup>, separated by commas.',
    })
  const strays = Object.keys(rsMap).filter((name) => !names.includes(name))
  if (strays.length > 0) throw refuse(`it has no ${strays.join(', ')} that could be remapped`)
  const taken = new Map<string, string>()
  for (const { name, iscs } of backup.replsets) {
    const target = rsMap[name] ?? name
    const found = cluster.find(({ rs }) => rs === target)
    if (found === undefined) throw refuse(`there is no ${target} in this cluster (${listed(cluster)})`)
    const other = taken.get(target)
    if (other !== undefined) throw refuse(`${other} and ${name} can't both become ${target}`)
    taken.set(target, name)
    const isConfig = found.id === CONFIG_SHARD_ID && cluster.length > 1
    if (isConfig === (iscs === true)) continue
    throw refuse(
      iscs === true
        ? `${name} are config servers and ${target} are not`
        : `${name} are no config servers as ${target} are`,
    )
  }
}

/**
 * Shard ids of the backup → of the cluster. Both may differ from the names of their replica sets. `later`: the ids of shards
 * that came after the backup, by those names.
 */
export function shardIds(
  backup: Pick<BackupDocument, 'replsets' | 'shardRemap'>,
  cluster: readonly ReplsetTopology[],
  rsMap: ReplsetMap,
  later: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const ids = new Map<string, string>()
  const idOf = (name: string) => cluster.find(({ rs }) => rs === (rsMap[name] ?? name))?.id
  for (const { name, iscs } of backup.replsets) {
    const before = backup.shardRemap?.[name] ?? (iscs === true ? CONFIG_SHARD_ID : name)
    const now = idOf(name)
    if (now !== undefined) ids.set(before, now)
  }
  for (const [name, before] of later) {
    const now = idOf(name)
    if (now !== undefined && !ids.has(before)) ids.set(before, now)
  }
  return ids
}

function listed(cluster: readonly ReplsetTopology[]): string {
  return cluster.map(({ rs }) => rs).join(', ')
}
