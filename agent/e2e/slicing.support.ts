import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  clusterTime,
  documentsIn,
  findField,
  listChunks,
  listSlicerLocks,
  type PitrChunkDocument,
  PluginHost,
  wholeDocuments,
} from '@pbmkit/core'
import { type MongoClient, Timestamp } from 'mongodb'
import { type AgentProcess, type Cluster, objectsOn, outputs, until } from './cluster.support.js'

/** Writes small documents until stopped, through elections. */
export function startWriting(client: MongoClient, name = 'writes'): { stop(): Promise<number> } {
  const stopped = new AbortController()
  const collection = client.db('load').collection(name)
  let count = 0
  const writing = (async () => {
    while (!stopped.signal.aborted) {
      await collection.insertMany([{ n: count }, { n: count + 1 }, { n: count + 2 }]).then(
        () => {
          count += 3
        },
        () => sleep(100),
      )
      await sleep(5)
    }
  })()
  return {
    stop: async () => {
      stopped.abort()
      await writing
      return count
    },
  }
}

/** The agent that holds the slicer's lock. */
export async function slicingAgent(cluster: Cluster, except = ''): Promise<AgentProcess> {
  let node = ''
  await until('somebody to slice', async () => {
    node = (await listSlicerLocks(cluster.leader))[0]?.node ?? ''
    return node !== '' && node !== except
  }).catch((error: unknown) => {
    throw new Error(`${error}\n${outputs(cluster)}`)
  })
  const agent = cluster.agents.find(({ member, running }) => running && member.host === node)
  assert.ok(agent, `an agent runs beside ${node}`)
  return agent
}

/** Nobody slices. */
export async function nobodySlices(cluster: Cluster): Promise<void> {
  await until('slicing to end', async () => (await listSlicerLocks(cluster.leader)).length === 0)
}

/** Everything written until now is in listed chunks. */
export async function storedUntilNow(cluster: Cluster, seconds = 60): Promise<void> {
  const now = await clusterTime(cluster.leader)
  await until(
    'the oplog to be stored',
    async () => (await listChunks(cluster.leader)).some(({ end_ts }) => end_ts.greaterThanOrEqual(now)),
    seconds,
  ).catch((error: unknown) => {
    throw new Error(`${error}\n${outputs(cluster)}`)
  })
}

/** Each chunk begins where the one before ended. Gives the chunks. */
export function assertChain(chunks: readonly PitrChunkDocument[]): void {
  const sorted = chunks.toSorted((a, b) => a.start_ts.compare(b.start_ts))
  for (const [index, chunk] of sorted.entries()) {
    const before = sorted[index - 1]
    if (before === undefined) continue
    assert.ok(chunk.start_ts.equals(before.end_ts), `${chunk.fname} does not begin where ${before.fname} ends`)
  }
}

/** The chunks hold exactly the entries that the oplog has between their bounds, and each only once but at borders. */
export async function assertHoldsOplog(cluster: Cluster, chunks: readonly PitrChunkDocument[]): Promise<void> {
  assert.ok(chunks.length > 0)
  assertChain(chunks)
  const stored: Timestamp[] = []
  for (const chunk of chunks) {
    const times = await entriesOf(cluster, chunk)
    assert.ok(times.length > 0, chunk.fname)
    assert.ok(times[0]?.greaterThanOrEqual(chunk.start_ts), chunk.fname)
    assert.ok(times.at(-1)?.equals(chunk.end_ts), chunk.fname)
    const last = stored.at(-1)
    stored.push(...(last === undefined ? times : times.filter((time) => time.greaterThan(last))))
  }
  const [first, last] = [chunks[0]?.start_ts, chunks.at(-1)?.end_ts]
  const oplog = await cluster.admin
    .db('local')
    .collection('oplog.rs')
    .find({ ts: { $gte: first, $lte: last } }, { projection: { ts: 1, _id: 0 }, sort: { $natural: 1 } })
    .toArray()
  assert.deepEqual(
    stored.map((time) => time.toString()),
    oplog.map(({ ts }) => String(ts)),
  )
}

/** Every chunk on the storage is listed, or will be in a moment. */
export async function noStrays(cluster: Cluster): Promise<void> {
  let strays: string[] = []
  await until('unlisted chunks to be gone', async () => {
    const stored = (await objectsOn(cluster.storage)).filter((name) => /^pbmPitr\/.*\.oplog/.test(name))
    const listed = new Set((await listChunks(cluster.leader)).map(({ fname }) => fname))
    strays = stored.filter((name) => !listed.has(name) && !name.endsWith('.tmp'))
    return strays.length === 0
  }).catch((error: unknown) => {
    throw new Error(`${error}: ${strays.join(', ')}\n${outputs(cluster)}`)
  })
}

async function entriesOf({ storage }: Cluster, { fname, compression }: PitrChunkDocument): Promise<Timestamp[]> {
  const plugin = await new PluginHost({ resolveFrom: import.meta.url }).compression(compression)
  const times: Timestamp[] = []
  for await (const documents of wholeDocuments(plugin.decompress(createReadStream(join(storage, fname))))) {
    for (const entry of documentsIn(documents)) {
      const ts = findField(entry, 'ts')
      times.push(new Timestamp(entry.readBigUInt64LE(ts?.value ?? 0)))
    }
  }
  return times
}
