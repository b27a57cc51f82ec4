import { readdir } from 'node:fs/promises'
import type { Random } from '@pbmkit/conformance/testbed'
import { findBackup, findRestore, listBackups, listLocks, sendCommand } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { agentsWell, type ChaosCluster, until } from './cluster.js'
import { disturb } from './disturbances.js'
import type { Work } from './work.js'

/** Nobody waits longer without a word. */
const SILENT_SECONDS = 60
const LONGEST_SECONDS = 300

/** One backup in trouble, and its restore. What it finds is told; what can't be gone on from is thrown. */
export async function runRound(
  cluster: ChaosCluster,
  random: Random,
  tell: (finding: string) => void,
  note: (text: string) => void,
): Promise<void> {
  const { leader, shape } = cluster
  const before = await controlCollections(cluster)
  const work = await cluster.begin(random)
  let name = ''
  let outcome: Ended | undefined
  try {
    await until('some entries', async () => work.isUnderWay(), 60)
    work.mark()
    name = await freeName(cluster)
    const { compression } = shape
    await sendCommand(leader, { cmd: 'backup', backup: { type: 'logical', base: false, name, compression } })
    const troubles = Array.from({ length: 1 + random(2) }, () => disturb(cluster, random, note))
    const what = troubles.map((trouble) => trouble.what).join(' and ')
    note(`backup ${name}: ${what}`)
    outcome = await ended(cluster, `backup ${name} (${what})`, { tell, note }, () => findBackup(leader, name))
    await Promise.all(troubles.map(({ over }) => over))
  } finally {
    await work.stop()
  }
  note(`  ${outcome?.status} ${outcome?.error ?? ''}`)
  await healed(cluster)
  if (outcome?.status === 'done') await restored(cluster, name, { work, tell, note })
  else if (outcome !== undefined && (outcome.error ?? '') === '' && outcome.status !== 'canceled') {
    tell(`backup ${name} failed without a reason`)
  }
  await nothingLeft(cluster, before).catch((error: unknown) => tell(`${error}`))
}

interface Ended {
  readonly status: string
  readonly error?: string | undefined
}

/** Waits for the end of an operation. Silence is a finding, and no end another. */
async function ended(
  cluster: ChaosCluster,
  what: string,
  { tell, note }: { readonly tell: (finding: string) => void; readonly note: (text: string) => void },
  find: () => Promise<Ended | undefined>,
): Promise<Ended | undefined> {
  let found: Ended | undefined
  let heard = ''
  let since = Date.now()
  let isTold = false
  const look = async () => {
    // No primary for a moment.
    found = (await find().catch(() => undefined)) ?? found
    const words = `${found?.status} ${cluster.words().length}`
    if (words !== heard) {
      heard = words
      since = Date.now()
    }
    if (Date.now() - since > SILENT_SECONDS * 1000 && !isTold) {
      isTold = true
      // Who waits for it is told: see below.
      if (found === undefined && /agent|killed/.test(what)) note(`  nobody took it up`)
      else if (found === undefined) tell(`${what}: nobody took it up in ${SILENT_SECONDS} s`)
      else tell(`${what}: no word for ${SILENT_SECONDS} s in state ${found.status}`)
    }
    // Agents that start more than ten seconds after a command pass over it, and `pbm backup` says so to who waits.
    if (isTold && found === undefined) return true
    return ['done', 'error', 'canceled'].includes(found?.status ?? '')
  }
  try {
    await until(`the end of ${what}`, look, LONGEST_SECONDS)
    return found
  } catch (error) {
    tell(`${error}; it is ${found?.status}`)
    return undefined
  }
}

async function healed(cluster: ChaosCluster): Promise<void> {
  for (const agent of cluster.agents) if (!agent.running) agent.start()
  await Promise.all(cluster.sets.map((set) => set.ready()))
  await agentsWell(cluster)
}

async function restored(
  cluster: ChaosCluster,
  backupName: string,
  bench: {
    readonly work: Work
    readonly tell: (finding: string) => void
    readonly note: (text: string) => void
  },
): Promise<void> {
  const { leader } = cluster
  const { work, tell, note } = bench
  await until('locks to be released', async () => (await listLocks(leader)).length === 0, 60)
  await work.wipe()
  const name = `${new Date().toISOString().replace('Z', '')}000000Z`
  const extTS = new Timestamp({ t: 0, i: 0 })
  const flags = { fallbackEnabled: null, allowPartlyDone: null, external: false, extConf: null, extTS, exit: false }
  await sendCommand(leader, { cmd: 'restore', restore: { name, backupName, ...flags } })
  const outcome = await ended(cluster, `restore of ${backupName}`, bench, () => findRestore(leader, name))
  note(`  restore: ${outcome?.status} ${outcome?.error ?? ''}`)
  if (outcome?.status !== 'done') {
    tell(`the restore of ${backupName} ended as ${outcome?.status}: ${outcome?.error ?? ''}`)
    return
  }
  for (const fault of await work.faults()) tell(`${backupName}: ${fault}`)
}

/** Locks, collections of `admin` that were not there before, and objects of no backup. */
async function nothingLeft(cluster: ChaosCluster, before: ReadonlySet<string>): Promise<void> {
  const { leader, disk } = cluster
  let left: string[] = []
  const look = async () => {
    const [locks, backups, collections, aside] = await Promise.all([
      listLocks(leader),
      listBackups(leader, { status: ['done'] }),
      controlCollections(cluster),
      movedAside(cluster),
    ])
    const known = new Set(backups.map(({ name }) => name))
    const objects = (await readdir(disk.storage)).filter(
      (object) =>
        !['.pbm.init', '.pbmkit.storage', 'pbmPitr'].includes(object) && !known.has(object.replace(/\.pbm\.json$/, '')),
    )
    left = [
      ...locks.map(({ type, replset }) => `the ${type} lock of ${replset}`),
      ...[...collections].filter((name) => !before.has(name)).map((name) => `the collection ${name}`),
      ...aside.map((name) => `the collection ${name}`),
      ...objects.map((object) => `the object ${object}`),
    ]
    return left.length === 0
  }
  await until('nothing to be left', look, 90).catch(() => undefined)
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
}

/** What the server made room for, and nobody dropped. */
async function movedAside({ sets }: ChaosCluster): Promise<string[]> {
  const found: string[] = []
  for (const set of sets) {
    const client = await set.client()
    const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true })
    for (const { name: db } of databases) {
      const collections = await client
        .db(db)
        .listCollections({ name: /^tmp.{5}\.(create|rename)$/ })
        .toArray()
      found.push(...collections.map(({ name }) => `${db}.${name} of ${set.name}`))
    }
  }
  return found
}

/** All of `admin` that PBM may make later: those that agents make once are no remains. */
async function controlCollections({ admin }: ChaosCluster): Promise<ReadonlySet<string>> {
  const collections = await admin.db('admin').listCollections({}, { nameOnly: true }).toArray()
  return new Set(collections.map(({ name }) => name).filter((name) => !/^pbm(?!R)|^system\./.test(name)))
}

/** Names are seconds. */
async function freeName({ leader }: ChaosCluster): Promise<string> {
  for (let time = Math.floor(Date.now() / 1000); ; time++) {
    const name = new Date(time * 1000).toISOString().replace('.000', '')
    if ((await findBackup(leader, name)) === undefined) return name
  }
}
