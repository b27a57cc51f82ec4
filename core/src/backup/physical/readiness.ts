import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize } from 'bson'
import type { Document, MongoClient } from 'mongodb'
import { requireRights } from '../../control/rights.js'
import { errorText, PbmError } from '../../errors.js'
import { type ServerOptions, serverOptions } from '../../mongo/server-options.js'
import { hello } from '../../mongo/topology.js'

/**
 * Whether the files of this agent's mongod can be copied: rejects with PHYSICAL_UNFIT, which says why not, and
 * RIGHTS_MISSING.
 */
export async function requirePhysical(node: MongoClient): Promise<ServerOptions> {
  const { version } = await node.db('admin').command({ buildInfo: 1 })
  await requireRights(node, 'backup-agent', { physical: true, version: String(version) })
  const options = await serverOptions(node)
  if (options.isEncrypted) {
    throw unfit('its mongod encrypts the data files itself', 'Make logical backups, with encryption.type if need be')
  }
  const { dbPath } = options
  await requireEngine(dbPath)
  await requireOwnFiles(node, dbPath)
  await requireIndexes(node)
  return options
}

async function requireEngine(dbPath: string): Promise<void> {
  const file = join(dbPath, 'storage.bson')
  const bytes = await readFile(file).catch((error: unknown) => {
    throw unfit(
      `its agent can't read the dbPath: ${errorText(error)}`,
      'Run the agent on the machine of its mongod, as the user that mongod runs as',
    )
  })
  const engine = engineOf(bytes)
  if (engine !== 'wiredTiger') throw unfit(`its storage engine is ${engine}, not wiredTiger`, 'Make logical backups')
}

function engineOf(bytes: Buffer): string {
  try {
    return String((deserialize(bytes).storage as Document | undefined)?.engine)
  } catch {
    return 'unknown'
  }
}

/** Another machine may have a dbPath of that name, too: the file of the oplog has a random name. */
async function requireOwnFiles(node: MongoClient, dbPath: string): Promise<void> {
  await access(dbPath, constants.R_OK | constants.W_OK).catch((error: unknown) => {
    throw unfit(
      `its agent can't write to the dbPath, where it keeps the copy: ${errorText(error)}`,
      'Run the agent as the user that mongod runs as, and let its unit write there (ReadWritePaths)',
    )
  })
  const { wiredTiger } = await node.db('local').command({ collStats: 'oplog.rs' })
  const ident = /^statistics:table:(.+)$/.exec(String((wiredTiger as Document | undefined)?.uri))?.[1]
  if (ident === undefined) throw unfit('the server does not tell which file its oplog is', 'Make logical backups')
  await access(join(dbPath, `${ident}.wt`), constants.R_OK).catch((error: unknown) => {
    throw unfit(
      `the files in ${dbPath} are not those of its mongod, or can't be read: ${errorText(error)}`,
      'Run the agent on the machine of its mongod, in the same container or with the same mounts',
    )
  })
}

async function requireIndexes(node: MongoClient): Promise<void> {
  const [{ config }, { me }] = await Promise.all([node.db('admin').command({ replSetGetConfig: 1 }), hello(node)])
  const own = (config.members as Document[]).find(({ host }) => host === me)
  if (own?.buildIndexes === false) throw unfit('it builds no indexes', 'Make the backup of another member')
}

export function unfit(reason: string, hint: string): PbmError {
  return new PbmError('PHYSICAL_UNFIT', reason, { hint })
}
