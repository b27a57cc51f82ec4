import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { createTlsFiles } from './certificates.js'
import { launchMongod, type MongodProcess } from './mongod.js'
import { removeTemporaryFolder, temporaryFolder } from './supervisor.js'
import { ADMIN, createAdmin } from './users.js'

export interface StandaloneOptions {
  readonly auth?: boolean
  readonly tls?: boolean
  readonly mongodArgs?: readonly string[]
}

export interface Standalone extends MongodProcess {
  /** Connected as the admin; closed by `stop()`. */
  client(): Promise<MongoClient>
  /** Kills the server and removes its data. */
  stop(): Promise<void>
}

/** Starts one mongod that is no member of a replica set. */
export async function startStandalone(options: StandaloneOptions = {}): Promise<Standalone> {
  const folder = await temporaryFolder('pbmkit-standalone-')
  const credentials = new Map<string, string>()
  const tls = options.tls === true ? await createTlsFiles(folder) : undefined
  const mongod = await launchMongod({
    folder,
    tls,
    mongodArgs: [...(options.auth === true ? ['--auth'] : []), ...(options.mongodArgs ?? [])],
    credentials,
  })
  let client: Promise<MongoClient> | undefined
  if (options.auth === true) {
    const first = await MongoClient.connect(mongod.uri())
    await createAdmin(first).finally(() => first.close())
    credentials.set(ADMIN.user, ADMIN.password)
  }
  return Object.assign(mongod, {
    client: () => {
      client ??= MongoClient.connect(mongod.uri())
      return client
    },
    stop: async () => {
      await (await client?.catch(() => undefined))?.close()
      await mongod.kill()
      await removeTemporaryFolder(folder)
    },
  })
}

/** The secret the members of one replica set know each other by. */
export async function createKeyFile(folder: string): Promise<string> {
  const path = join(folder, 'keyfile')
  await writeFile(path, randomBytes(96).toString('base64'), { mode: 0o400 })
  return path
}
