import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, seededRandom } from '@pbmkit/conformance/testbed'
import {
  type BackupDocument,
  chunkChecksumPrefix,
  findBackup,
  listBackups,
  listChunks,
  listLocks,
  optime,
  sendCommand,
} from '@pbmkit/core'
import { MongoClient } from 'mongodb'
import { type ChaosCluster, until } from './cluster.js'
import { disturb } from './disturbances.js'
import { ended, healed, type Report } from './ended.js'
import type { History } from './history.js'
import { restored, type Target } from './restores.js'

/**
 * A backup in trouble, some time with slicing in trouble, and restores. What it finds is told; what can't be gone on from is
 * thrown.
 */
export async function runRound(cluster: ChaosCluster, random: Random, history: History, report: Report): Promise<void> {
  const { shape } = cluster
  const before = await controlCollections(cluster)
  const replsets = cluster.sets.length
  // What happens later must not hang on how often the one before drew.
  const [forSlicing, forRestores] = [seededRandom(random(2 ** 31)), seededRandom(random(2 ** 31))]
  const work = await cluster.begin(random)
  const name = await freeName(cluster)
  let backup: BackupDocument | undefined
  try {
    await until('some entries', async () => work.isUnderWay(), 60)
    const least = work.lastAcknowledged()
    backup = await backedUp(cluster, name, random, report)
    if (backup !== undefined && optime(backup.last_write_ts) < least)
      report.tell(`${name} ends before what was acknowledged`)
    if (backup !== undefined && shape.slices) await sliced(cluster, forSlicing, report)
  } finally {
    await work.stop()
  }
  await healed(cluster)
  if (backup !== undefined) {
    const targets: Target[] = [{ work, backupName: name }]
    if (shape.slices) {
      await history.add(cluster, work, backup, replsets).catch((error: unknown) => report.tell(`${name}: ${error}`))
      // The second may be of an earlier round, before other restores.
      for (let count = 0; count < 2; count++) targets.push(...(await history.moment(cluster, forRestores)))
    }
    while (targets.length > 0) {
      const [target] = targets.splice(forRestores(targets.length), 1)
      if (target !== undefined) await restored(cluster, target, forRestores, report)
    }
  }
  await nothingLeft(cluster, before).catch((error: unknown) => report.tell(`${error}`))
}

/** A backup in trouble; undefined where there is none. */
async function backedUp(
  cluster: ChaosCluster,
  name: string,
  random: Random,
  report: Report,
): Promise<BackupDocument | undefined> {
  const { leader, shape } = cluster
  const { compression } = shape
  await sendCommand(leader, { cmd: 'backup', backup: { type: 'logical', base: false, name, compression } })
  const troubles = Array.from({ length: 1 + random(2) }, () => disturb(cluster, random, report.note))
  const what = `backup ${name} (${troubles.map((trouble) => trouble.what).join(' and ')})`
  report.note(what)
  const backup = await ended(cluster, what, report, () => findBackup(leader, name))
  await Promise.all(troubles.map(({ over }) => over))
  report.note(`  ${backup?.status} ${backup?.error ?? ''}`)
  if (backup?.status === 'error' && (backup.error ?? '') === '') report.tell(`${what} failed without a reason`)
  await healed(cluster)
  return backup?.status === 'done' ? backup : undefined
}

/** Some seconds of trouble, in which slicing goes on. */
async function sliced(cluster: ChaosCluster, random: Random, { note }: Report): Promise<void> {
  const { what, over } = disturb(cluster, random, note)
  note(`slicing (${what})`)
  await Promise.all([over, sleep(2_000 + random(15_000))])
}

/** Locks, collections of `admin` that were not there before, and objects of no backup. */
export async function nothingLeft(cluster: ChaosCluster, before: ReadonlySet<string>): Promise<void> {
  const { leader, disk } = cluster
  let left: string[] = []
  const look = async () => {
    const [locks, backups, chunks, collections, aside, ttl] = await Promise.all([
      listLocks(leader),
      listBackups(leader, { status: ['done'] }),
      listChunks(leader),
      controlCollections(cluster),
      movedAside(cluster),
      withoutTtl(cluster),
    ])
    const known = new Set(backups.map(({ name }) => name))
    const objects = (await readdir(disk.storage)).filter(
      (object) =>
        !['.pbm.init', '.pbmkit.storage', 'pbmPitr'].includes(object) && !known.has(object.replace(/\.pbm\.json$/, '')),
    )
    const listed = new Set(chunks.map(({ fname }) => fname))
    const sums = chunks.map(({ fname }) => chunkChecksumPrefix(fname))
    const strays = (await readdir(disk.storage, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => relative(disk.storage, join(parentPath, name)))
      .filter((object) => object.startsWith('pbmPitr/') && !listed.has(object))
      .filter((object) => !sums.some((prefix) => object.startsWith(prefix)))
    left = [
      ...locks.map(({ type, replset }) => `the ${type} lock of ${replset}`),
      ...[...collections].filter((name) => !before.has(name)).map((name) => `the collection ${name}`),
      ...aside.map((name) => `the collection ${name}`),
      ...[...objects, ...strays].map((object) => `the object ${object}`),
      ...ttl.map((host) => `the TTL monitor of ${host}, which is off`),
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

/** A restore has it off while it works. */
async function withoutTtl({ sets }: ChaosCluster): Promise<string[]> {
  const found: string[] = []
  for (const member of sets.flatMap(({ members }) => members)) {
    const client = await MongoClient.connect(member.uri())
    try {
      const { ttlMonitorEnabled } = await client.db('admin').command({ getParameter: 1, ttlMonitorEnabled: 1 })
      if (ttlMonitorEnabled !== true) found.push(member.host)
    } finally {
      await client.close()
    }
  }
  return found
}

/** All of `admin` that PBM may make later: those that agents make once are no remains. */
export async function controlCollections({ admin }: ChaosCluster): Promise<ReadonlySet<string>> {
  const collections = await admin.db('admin').listCollections({}, { nameOnly: true }).toArray()
  return new Set(collections.map(({ name }) => name).filter((name) => !/^pbm(?!R)|^system\./.test(name)))
}

/** Names are seconds. */
export async function freeName({ leader }: ChaosCluster): Promise<string> {
  for (let time = Math.floor(Date.now() / 1000); ; time++) {
    const name = new Date(time * 1000).toISOString().replace('.000', '')
    if ((await findBackup(leader, name)) === undefined) return name
  }
}
