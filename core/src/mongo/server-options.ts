import { isAbsolute } from 'node:path'
import type { Document, MongoClient } from 'mongodb'
import { PbmError } from '../errors.js'

/** How a mongod was started. */
export interface ServerOptions {
  /** Absolute. */
  readonly dbPath: string
  readonly port: number
  /** The command line, the program first. */
  readonly argv: readonly string[]
  /** As PBM keeps them in the record of a physical backup (PBM: physical.md §2.1). */
  readonly mongodOpts: Readonly<Record<string, unknown>>
  /** Data is encrypted by the server itself. */
  readonly isEncrypted: boolean
  readonly keyFile: string | undefined
}

/** Needs the right `getCmdLineOpts`. Throws DBPATH_RELATIVE. */
export async function serverOptions(node: MongoClient): Promise<ServerOptions> {
  return parseServerOptions(await node.db('admin').command({ getCmdLineOpts: 1 }))
}

/** The answer to `getCmdLineOpts`. What nobody set has the server's own default (PBM: physical.md §1). Pure. */
export function parseServerOptions({ argv, parsed }: Document): ServerOptions {
  const role = text(parsed, 'sharding', 'clusterRole')
  const dbPath = text(parsed, 'storage', 'dbPath') ?? (role === 'configsvr' ? '/data/configdb' : '/data/db')
  if (!isAbsolute(dbPath)) {
    throw new PbmError('DBPATH_RELATIVE', `the mongod was started with the relative dbPath ${dbPath}`, {
      hint: 'Give it an absolute one: nobody else knows where it begins',
    })
  }
  const standard = role === 'configsvr' ? 27019 : role === 'shardsvr' ? 27018 : 27017
  const port = Number(valueAt(parsed, ['net', 'port']) ?? 0) || standard
  const security = valueAt(parsed, ['security'])
  const engine = (key: string) => valueAt(parsed, ['storage', 'wiredTiger', 'engineConfig', key])
  const mongodOpts = {
    net: { bindIp: text(parsed, 'net', 'bindIp') ?? '', port },
    ...(role === undefined ? {} : { sharding: { clusterRole: role } }),
    storage: {
      directoryPerDB: valueAt(parsed, ['storage', 'directoryPerDB']) === true,
      dbPath,
      wiredTiger: {
        engineConfig: {
          journalCompressor: typeof engine('journalCompressor') === 'string' ? engine('journalCompressor') : 'snappy',
          directoryForIndexes: engine('directoryForIndexes') === true,
        },
        collectionConfig: {
          blockCompressor: text(parsed, 'storage', 'wiredTiger', 'collectionConfig', 'blockCompressor') ?? 'snappy',
        },
        indexConfig: {
          prefixCompression: valueAt(parsed, ['storage', 'wiredTiger', 'indexConfig', 'prefixCompression']) !== false,
        },
      },
    },
  }
  return {
    dbPath,
    port,
    argv: Array.isArray(argv) ? argv.map(String) : [],
    mongodOpts,
    isEncrypted: valueAt(security, ['enableEncryption']) === true,
    keyFile: text(security, 'keyFile'),
  }
}

function text(value: unknown, ...path: string[]): string | undefined {
  const found = valueAt(value, path)
  return typeof found === 'string' && found !== '' ? found : undefined
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (below, key) => (typeof below === 'object' && below !== null ? Reflect.get(below, key) : undefined),
    value,
  )
}
