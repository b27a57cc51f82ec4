import { type Document, type MongoClient, ObjectId } from 'mongodb'
import {
  AGENTS,
  BACKUPS,
  COMMANDS,
  CONFIG,
  CONTROL_DATABASE,
  LOCKS,
  OPERATIONS,
  PITR,
  RESTORES,
  SLICER_LOCKS,
} from '../mongo/control-names.js'

/** The control documents around one operation, as they stand: nothing is taken out, secrets neither. */
export interface RawDiagnostics {
  readonly backup: Document | undefined
  readonly restore: Document | undefined
  readonly command: Document | undefined
  /** One of each replica set that began it. */
  readonly begun: readonly Document[]
  /** The configuration, with its profiles. */
  readonly config: readonly Document[]
  readonly agents: readonly Document[]
  readonly locks: readonly Document[]
  readonly pitr: readonly Document[]
}

/** More than any cluster has; whatever somebody else may have put there. */
const MOST = 1_000

/** `opid`: hex. Without an operation: what is there besides. Both records have their long numbers as `Long`. */
export async function readDiagnostics(
  leader: MongoClient,
  { opid, name }: { readonly opid?: string | undefined; readonly name?: string | undefined },
): Promise<RawDiagnostics> {
  const all = (collection: string, filter: Document = {}, promoteLongs = true) =>
    leader.db(CONTROL_DATABASE).collection<Document>(collection).find(filter, { limit: MOST, promoteLongs }).toArray()
  const chosen = opid === undefined ? { name } : { opid }
  const one = async (collection: string) =>
    opid === undefined && name === undefined ? undefined : (await all(collection, chosen, false))[0]
  const [backup, restore] = await Promise.all([one(BACKUPS), one(RESTORES)])
  const id = opid ?? (backup ?? restore)?.opid
  const isId = typeof id === 'string' && ObjectId.isValid(id)
  const [commands, begun] = await Promise.all([
    isId ? all(COMMANDS, { _id: new ObjectId(id) }) : [],
    typeof id === 'string' ? all(OPERATIONS, { opid: id }) : [],
  ])
  const [config, agents, locks, slicers, pitr] = await Promise.all([
    ...([all(CONFIG), all(AGENTS), all(LOCKS), all(SLICER_LOCKS), all(PITR)] as const),
  ])
  return { backup, restore, command: commands[0], begun, config, agents, locks: [...locks, ...slicers], pitr }
}
