import type { NamespaceMetadata } from '../../archive/metadata.js'
import { eachInTurns } from '../../bson/turns.js'
import { elementsOf } from '../../oplog/raw-fields.js'
import { isViews } from '../../oplog/replay/namespaces.js'
import { damaged } from '../data/stored-objects.js'

/** What the server takes; a dot in a database's name would make another namespace of it. */
const DATABASE = /^[^/\\. "$\0]{1,63}$/
const COLLECTION = /^[^.$\0][^\0]{0,254}$/

export function isDatabaseName(name: string): boolean {
  return DATABASE.test(name)
}

/**
 * Throws `BACKUP_DAMAGED` for a list of namespaces that no backup has: names that are none, or twice the same, and
 * what would go into commands to the server in the place of something else.
 */
export async function refuseInvalidNamespaces(namespaces: readonly NamespaceMetadata[]): Promise<void> {
  const names = new Set<string>()
  const uuids = new Set<string>()
  await eachInTurns(namespaces, ({ db, collection, uuid, bucketsUuid, options }) => {
    const ns = `${db}.${collection}`
    const shown = JSON.stringify(ns)
    if (!isDatabaseName(db) || !COLLECTION.test(collection)) throw refused(`${shown} is not a namespace`)
    if (isViews(ns)) throw refused(`${shown} is not in a backup: views are listed one by one`)
    if (names.has(ns)) throw refused(`${shown} is there twice`)
    names.add(ns)
    for (const id of [uuid, bucketsUuid]) {
      if (id === undefined) continue
      if (!/^[0-9a-f]{32}$/.test(id)) throw refused(`the UUID of ${shown} is none`)
      if (uuids.has(id)) throw refused(`the UUID of ${shown} is that of another collection too`)
      uuids.add(id)
    }
    for (const { name } of options === undefined ? [] : elementsOf(options)) {
      if (name === 'create' || name.startsWith('$')) throw refused(`${shown} has the option ${JSON.stringify(name)}`)
    }
  })
}

/**
 * Refuses a namespace under a UUID that the target has for what a restore does not touch: the server would drop or rename
 * that one.
 */
export function refuseReservedUuids(
  reserved: ReadonlyMap<string, string>,
  namespaces: readonly NamespaceMetadata[],
): void {
  for (const { db, collection, uuid, bucketsUuid } of namespaces) {
    const found = reserved.get(uuid ?? '') ?? reserved.get(bucketsUuid ?? '')
    if (found === undefined) continue
    throw refused(`${JSON.stringify(`${db}.${collection}`)} has the UUID that ${found} has here`)
  }
}

function refused(why: string): Error {
  return damaged(`The backup's list of namespaces is not right: ${why}`)
}
