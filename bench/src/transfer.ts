import { tmpdir } from 'node:os'
import 'reflect-metadata'
import { once } from 'node:events'
import { openStore, PluginHost, type StorageConfig } from '@pbmkit/core'
import { pattern } from './pattern.js'

/** What this process, which moves one object to be measured, is told. */
export interface Transfer {
  readonly config: StorageConfig
  readonly name: string
  readonly way: 'up' | 'down'
  readonly bytes: number
}

/**
 * Moves an object as an agent does, which has loaded the plugin and looked at the storage before, and opens a store for
 * each operation. Tells its parent when it is ready, begins when told to, and tells when it has done.
 */
const { config, name, way, bytes } = JSON.parse(process.argv[2] ?? '') as Transfer

const host = new PluginHost({ resolveFrom: import.meta.url, localAccess: { folders: [tmpdir()], commands: [] } })
const openOne = () => openStore(host, config, { signal: new AbortController().signal, warn: console.error })
const looking = await openOne()
await looking.stat('nothing').catch((error: { code?: unknown }) => {
  if (error.code !== 'STORAGE_NOT_FOUND') throw error
})
await looking.close()
process.once('disconnect', () => process.exit(1))
process.send?.('ready')
await once(process, 'message')

const store = await openOne()
const moved = way === 'up' ? (await store.save(name, pattern(bytes))).size : await drained()
await store.close()
if (moved !== bytes) throw new Error(`${moved} bytes were moved, not ${bytes}`)
process.send?.('done')
await once(process, 'message')
process.exit(0)

async function drained(): Promise<number> {
  let read = 0
  for await (const chunk of await store.read(name)) read += chunk.length
  return read
}
