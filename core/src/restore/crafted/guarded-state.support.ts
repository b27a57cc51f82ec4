import { createHash } from 'node:crypto'
import type { UUID } from 'bson'
import { BSON, type Document, type MongoClient } from 'mongodb'
import { isExcluded, isUsersOrRoles } from '../../oplog/replay/namespaces.js'
import type { Known } from './forged-entries.support.js'

/** Made by {@link plantGuarded}: no backup has it, so no restore may touch it. */
export const ELSEWHERE = 'elsewhere'
const SERVER_DATABASES = ['admin', 'config', 'local']
/** Whose documents must stay, not only they themselves. */
const WITH_DOCUMENTS = [
  'admin.pbmConfig',
  'admin.system.version',
  'admin.system.keys',
  'config.keep',
  'local.keep',
  `${ELSEWHERE}.keep`,
]

/** Which storage is used is remembered there, anew with each storage. */
const NOT_MEMORY = { $not: /^pbmkit\.storage/ }

export async function plantGuarded(admin: MongoClient): Promise<void> {
  for (const db of ['config', 'local', ELSEWHERE]) {
    // By a command: what is not replicated takes no write that is tried again.
    await admin.db(db).command({
      insert: 'keep',
      documents: [
        { _id: 'config', value: db },
        { _id: 1, value: db },
      ],
    })
    await admin.db(db).collection('keep').createIndex({ value: 1 })
  }
}

/** What no restore may change, however its backup was forged: by name, a text that changes with it. */
export async function guardedState(admin: MongoClient, users: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const state = new Map<string, string>()
  for (const { ns, uuid } of await listed(admin, [...SERVER_DATABASES, ELSEWHERE])) {
    if (ns.startsWith(`${ELSEWHERE}.`) || isExcluded(ns) || isUsersOrRoles(ns)) state.set(ns, uuid.toHexString())
  }
  for (const ns of WITH_DOCUMENTS) {
    const [db = '', ...rest] = ns.split('.')
    const found = await admin
      .db(db)
      .collection(rest.join('.'))
      .find({ _id: NOT_MEMORY }, { projection: { epoch: 0 }, sort: { _id: 1 } })
      .toArray()
    state.set(`documents of ${ns}`, digest(found))
  }
  for (const user of users) {
    state.set(
      `user ${user}`,
      digest(await admin.db('admin').collection<{ _id: string }>('system.users').find({ _id: user }).toArray()),
    )
  }
  return state
}

/** In `admin` a backup may have more; the other one is the server's own, made when it has been up for some minutes. */
const MADE_BY_SERVERS = /^admin\.|^config\.system\.sessions$/

/** What differs. In `admin` a backup may have collections that were not there. */
export function guardedDifferences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const changed = [...before].filter(([name, text]) => after.get(name) !== text)
  const added = [...after.keys()].filter((name) => !before.has(name) && !MADE_BY_SERVERS.test(name))
  return [...changed.map(([name]) => `${name} changed`), ...added.map((name) => `${name} is new`)]
}

export async function knownOf(admin: MongoClient): Promise<Known> {
  const all = await listed(admin, [...SERVER_DATABASES, ELSEWHERE, 'shop'])
  return {
    guarded: all.filter(({ ns }) => !ns.startsWith('shop.')),
    others: all.filter(({ ns }) => ns.startsWith('shop.')),
  }
}

async function listed(admin: MongoClient, databases: readonly string[]): Promise<{ ns: string; uuid: UUID }[]> {
  const found: { ns: string; uuid: UUID }[] = []
  for (const db of databases) {
    for (const { name, info } of await admin.db(db).listCollections({}, { nameOnly: false }).toArray()) {
      const { uuid } = (info ?? {}) as { uuid?: UUID }
      if (uuid !== undefined) found.push({ ns: `${db}.${name}`, uuid })
    }
  }
  return found
}

function digest(documents: readonly Document[]): string {
  const hash = createHash('sha256')
  for (const document of documents) hash.update(BSON.serialize(document))
  return hash.digest('hex')
}
