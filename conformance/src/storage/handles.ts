import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectStore } from '@pbmkit/core/plugin'
import { body, drain, get, PausedBody, put, type StorageBench, sample, storeCase } from './fixture.js'

const MIB = 1024 * 1024
const ROUNDS = 32
/** Connections that are kept for the next call, and what the rest of the process opens meanwhile. */
const SLACK = 12
/** A connection needs a moment to be gone (milliseconds). */
const PATIENCE_MS = 5_000
const POLL_MS = 50

const WAYS: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
  'reads that are broken off': async (store) => {
    for await (const _ of await store.read('object')) break
  },
  'reads that are aborted before the first chunk': async (store) => {
    const controller = new AbortController()
    const reading = await store.read('object', { signal: controller.signal })
    controller.abort()
    await drain(reading).catch(() => undefined)
  },
  'reads that are aborted while their reader rests': async (store) => {
    const controller = new AbortController()
    const chunks = (await store.read('object', { signal: controller.signal }))[Symbol.asyncIterator]()
    await chunks.next()
    controller.abort()
  },
  'saves that are aborted while their body hangs': async (store) => {
    const paused = new PausedBody([sample(100_000)])
    const controller = new AbortController()
    const saving = store.save('folder/new', paused, { signal: controller.signal }).catch(() => undefined)
    await paused.paused
    controller.abort()
    await saving
  },
  'saves whose body fails': async (store) => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* body(sample(100_000))
      throw new Error('the body fails')
    }
    await store.save('folder/new', failing()).catch(() => undefined)
  },
}

/** What a call leaves open adds up in an agent that runs for months. */
export function handleCases(bench: StorageBench): void {
  for (const [what, work] of Object.entries(WAYS)) {
    storeCase(bench, `holds no file and no connection for ${what}`, async ({ store }) => {
      await put(store, 'object', sample(2 * MIB))
      await get(store, 'object')
      const before = openHandles()
      for (let round = 0; round < ROUNDS; round++) await work(store)
      await settled(before)
    })
  }

  storeCase(bench, 'holds no file and no connection once it is closed', async ({ store, open }) => {
    await put(store, 'object', sample(MIB))
    const before = openHandles()
    for (let round = 0; round < ROUNDS; round++) {
      const other = await open()
      await put(other, 'other')
      const reading = await other.read('object')
      await reading[Symbol.asyncIterator]().next()
      await other.close()
    }
    await settled(before)
  })
}

async function settled(before: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const grown = openHandles() - before
    if (grown <= SLACK) return
    assert.ok(Date.now() < deadline, `after ${ROUNDS} of them ${grown} more files or connections are open than before`)
    await sleep(POLL_MS)
  }
}

/** Files and sockets that this process has open; where the system does not list them, what Node.js waits for. */
function openHandles(): number {
  for (const folder of ['/proc/self/fd', '/dev/fd']) {
    try {
      return readdirSync(folder).length
    } catch {
      // Another system.
    }
  }
  return process.getActiveResourcesInfo().length
}
