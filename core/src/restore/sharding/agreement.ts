import type { ChosenRoutes, ChosenThere, ExistingNamespace, RestoreReplset } from '../../control/restore-document.js'
import type { Selection } from '../../control/selection.js'
import { PbmError } from '../../errors.js'
import { databaseOf } from '../../oplog/entry.js'
import { isHidden } from '../selective/choose.js'
import { derivedUuid } from '../selective/new-uuids.js'
import { type Agreement, absentFrom, type Missing, refuseMissing } from '../selective/plan.js'

/** How many names a message has. */
const NAMED = 5

export interface Agreeing {
  /** Name of the restore. */
  readonly restore: string
  /** Of this replica set. */
  readonly rs: string
  readonly selection: Selection
}

/**
 * What is restored where, from what all replica sets have written down. What a mongos would not have shown at that time is
 * left out: a shard may have a collection left over that moved away with its database. Pure. Throws `NAMESPACE_MISSING`,
 * `NAMESPACE_INCOMPLETE` and `RESTORE_UNSUPPORTED`.
 */
export function agreementOf(parts: readonly Pick<RestoreReplset, 'name' | 'chosen'>[], agreeing: Agreeing): Agreement {
  const { restore, rs, selection } = agreeing
  const routing = parts.find(({ chosen }) => chosen?.routing !== undefined)?.chosen?.routing
  if (routing === undefined) {
    throw new PbmError('RESTORE_UNSUPPORTED', 'The backup has no routing tables: it is not of a sharded cluster', {
      hint: 'Restore it to a replica set, and copy from there.',
    })
  }
  const sharded = new Set(routing.sharded)
  const primaries = new Map(routing.primaries.map(({ db, primary }) => [db, primary]))
  const shown = (name: string, chosen: ChosenThere | undefined) =>
    (chosen?.names ?? []).filter((ns) => sharded.has(ns) || primaries.get(databaseOf(ns)) === name)
  const everywhere = new Set(parts.flatMap(({ name, chosen }) => shown(name, chosen)))
  refuseMissing(missingEverywhere(parts, selection, everywhere))
  const lost = routing.sharded.filter((ns) => !everywhere.has(ns))
  if (lost.length > 0) {
    throw new PbmError('NAMESPACE_INCOMPLETE', `No shard in the backup has ${lost.slice(0, NAMED).join(', ')}`, {
      hint: 'Restore from another backup.',
    })
  }
  refuseLostBuckets(routing.series ?? [], parts)
  return {
    here: new Set(shown(rs, parts.find(({ name }) => name === rs)?.chosen)),
    everywhere,
    existing: existingOf(parts),
    uuidOf: (uuid) => derivedUuid(restore, uuid),
  }
}

/** What is sharded is told by the config servers; its primary shard may have no more of it than the name. */
function existingOf(parts: readonly Pick<RestoreReplset, 'chosen'>[]): Map<string, ExistingNamespace> {
  const listed = parts.flatMap(({ chosen }) => chosen?.existing ?? [])
  const sharded = parts.flatMap(({ chosen }) => chosen?.routing?.existing ?? [])
  return new Map([...listed, ...sharded].map((one) => [one.ns, one]))
}

/** Earlier backups of ours lacked the buckets on all shards but the primary shard of the database. */
function refuseLostBuckets(
  series: NonNullable<ChosenRoutes['series']>,
  parts: readonly Pick<RestoreReplset, 'name' | 'chosen'>[],
): void {
  const lost = series.find(({ ns, rs }) => parts.find(({ name }) => name === rs)?.chosen?.names.includes(ns) !== true)
  if (lost === undefined) return
  throw new PbmError('NAMESPACE_INCOMPLETE', `The backup lacks what ${lost.ns} had on shard ${lost.rs}`, {
    hint: 'Restore from another backup.',
  })
}

function missingEverywhere(
  parts: readonly Pick<RestoreReplset, 'chosen'>[],
  selection: Selection,
  everywhere: ReadonlySet<string>,
): Missing {
  // What nobody can read has what it has.
  const absent = isHidden({ nss: selection.entries }) ? [] : absentFrom(selection, everywhere)
  const told = parts.flatMap(({ chosen }) => chosen?.gone ?? [])
  return {
    entries: absent.map((entry) => told.find((one) => one.entry === entry) ?? { entry }),
    near: [...new Set(parts.flatMap(({ chosen }) => chosen?.near ?? []))],
  }
}
