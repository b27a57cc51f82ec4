import { createHash } from 'node:crypto'
import type { UUID } from 'bson'
import { BSON, type Document, type MongoClient } from 'mongodb'
import { STAGING_PREFIX } from '../../mongo/control-names.js'
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

/** Which storage is used is remembered there, anew with each storage; and how far a shard is with commands. */
const NOT_MEMORY = { $not: /^pbmkit\.storage|^minOpTimeRecovery$|^_shardsvr|^sharding|Stats$/ }

/** Config servers have no databases of users. */
export async function plantGuarded(admin: MongoClient, databases = ['config', 'local', ELSEWHERE]): Promise<void> {
  for (const db of databases) {
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
    if (OF_CLUSTERS.test(ns) || ns.startsWith(`admin.${STAGING_PREFIX}`)) continue
    if (ns.startsWith(`${ELSEWHERE}.`) || isExcluded(ns) || isUsersOrRoles(ns)) state.set(ns, uuid.toHexString())
  }
  for (const ns of WITH_DOCUMENTS) {
    const [db = '', ...rest] = ns.split('.')
    const found = await admin
      .db(db)
      .collection(rest.join('.'))
      .find({ _id: NOT_MEMORY }, { projection: { epoch: 0 }, sort: { _id: 1 } })
      .toArray()
    state.set(`documents of ${ns}`, ns === 'admin.system.version' ? BSON.EJSON.stringify(found) : digest(found))
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
const MADE_BY_SERVERS = /^(?:\w+: )?(?:admin\.|config\.system\.)/
/** What members of a cluster keep of each other, and of what they are at. */
const OF_CLUSTERS = new RegExp(
  '^config\\.(?:cache\\.|system\\.|range|migration|resharding|transaction|locks|lockpings|mongos|changelog|actionlog|image|' +
    'localReshard|databases|collections|chunks|tags|settings)',
)

/** What differs. In `admin` a backup may have collections that were not there. */
export function guardedDifferences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const changed = [...before].filter(([name, text]) => after.get(name) !== text)
  const added = [...after.keys()].filter((name) => !before.has(name) && !MADE_BY_SERVERS.test(name))
  const shown = (text = '') => text.slice(0, 700)
  const told = changed.map(([name, text]) => `${name} changed: ${shown(text)} became ${shown(after.get(name))}`)
  return [...told, ...added.map((name) => `${name} is new`)]
}

/** Of all members that can be reached by these clients. */
export async function knownOf(admins: readonly MongoClient[]): Promise<Known> {
  const all = new Map<string, { ns: string; uuid: UUID }>()
  for (const admin of admins) {
    const { databases } = await admin.db('admin').admin().listDatabases({ nameOnly: true })
    for (const one of await listed(
      admin,
      databases.map(({ name }) => name),
    ))
      all.set(`${one.ns} ${one.uuid.toHexString()}`, one)
  }
  const isGuarded = ({ ns }: { ns: string }) => [...SERVER_DATABASES, ELSEWHERE].includes(ns.split('.')[0] ?? '')
  const found = [...all.values()]
  return {
    guarded: found.filter(isGuarded),
    others: found.filter((one) => !isGuarded(one)),
    isSharded: admins.length > 1,
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
