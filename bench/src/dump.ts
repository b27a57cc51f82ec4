import 'reflect-metadata'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dumpNamespaces, listNamespaces, none, type ObjectStore } from '@pbmkit/core'
import { MongoClient } from 'mongodb'

/**
 * The dump alone, in a process of its own to be measured beside `mongodump --archive`: neither compression, agent, lock
 * nor record, and like mongodump without waiting for the disk. Like an agent it has started and is connected before: it
 * tells its parent when it is ready, begins when told to, and tells when it has done. Arguments: URI, folder, and a
 * collection or none.
 */
const [uri = '', folder = '', collection] = process.argv.slice(2)

const store: Pick<ObjectStore, 'save' | 'capabilities'> = {
  capabilities: { ifAbsent: false, serverSideCopy: false, modifiedAt: false },
  save: async (name, body) => {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    const file = createWriteStream(path)
    let size = 0
    for await (const chunk of body) {
      size += chunk.length
      if (!file.write(chunk)) await once(file, 'drain')
    }
    file.end()
    await once(file, 'close')
    return { name, size }
  },
}
const ignore = () => undefined

const client = new MongoClient(uri)
await client.connect()
process.once('disconnect', () => process.exit(1))
process.send?.('ready')
await once(process, 'message')

const nss = [collection === undefined ? 'bench.*' : `bench.${collection}`]
await dumpNamespaces(await listNamespaces({ node: client, primary: client }, { nss }), {
  node: client,
  store: store as ObjectStore,
  compression: none,
  backup: 'dump',
  replset: 'rs',
  parallel: 4,
  signal: new AbortController().signal,
  log: { debug: ignore, info: ignore, warning: ignore, error: ignore },
  onProgress: ignore,
})
process.send?.('done')
await once(process, 'message')
process.exit(0)
