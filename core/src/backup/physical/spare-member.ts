import type { Document, MongoClient } from 'mongodb'
import { PRIMARY_STATE, SECONDARY_STATE } from '../../control/agents.js'
import { PbmError } from '../../errors.js'
import { hello, type NodeInfo } from '../../mongo/topology.js'

/** What a member of a replica set is at, as another one sees it. */
export interface SeenMember {
  /** `host:port`. */
  readonly name: string
  readonly state: number
  /** From whom it gets the oplog; undefined of a primary. */
  readonly source: string | undefined
}

export async function seenMembers(client: MongoClient): Promise<SeenMember[]> {
  const { members } = await client.db('admin').command({ replSetGetStatus: 1 })
  return (members as Document[]).map(({ name, state, syncSourceHost }) => ({
    ...{ name: String(name), state: Number(state) },
    source: typeof syncSourceHost === 'string' && syncSourceHost !== '' ? syncSourceHost : undefined,
  }))
}

/** Those from whom others get the oplog: these would stand still with them, until they look for another source (30 s). */
export function sourcesOfOthers(members: readonly SeenMember[]): Set<string> {
  return new Set(members.flatMap(({ source }) => source ?? []))
}

/**
 * Throws EXTERNAL_UNFIT where a lock of this member would keep the replica set from writing. Since the election, it may have become
 * the primary.
 */
export async function requireSpareMember(node: MongoClient, { isPrimary }: Pick<NodeInfo, 'isPrimary'>): Promise<void> {
  if (isPrimary) throw unfit('this member is the primary, where nothing could be written during the copy')
  const [{ config }, members, { me }] = await Promise.all([
    node.db('admin').command({ replSetGetConfig: 1 }),
    seenMembers(node),
    hello(node),
  ])
  const fault = spareFault(String(me), config.members as Document[], members)
  if (fault !== undefined) throw unfit(fault)
}

/** Why writes would not be acknowledged any more without `me`; undefined where they are. Pure. */
export function spareFault(
  me: string,
  configured: readonly Document[],
  members: readonly SeenMember[],
): string | undefined {
  const voting = configured.filter(({ votes }) => Number(votes) > 0)
  const data = voting.filter(({ arbiterOnly }) => arbiterOnly !== true).map(({ host }) => String(host))
  const needed = Math.min(Math.floor(voting.length / 2) + 1, data.length)
  const seen = new Map(members.map((member) => [member.name, member]))
  const isUp = (host: string) => [PRIMARY_STATE, SECONDARY_STATE].includes(seen.get(host)?.state ?? 0)
  const others = data.filter((host) => host !== me && isUp(host))
  if (others.length < needed)
    return `without it ${others.length} members have the data, and a majority is ${needed}: no write would be acknowledged`
  const behind = others.filter((host) => getsFrom(me, host, seen))
  if (others.length - behind.length >= needed) return undefined
  return `${behind.join(', ')} gets the oplog from this member, and would stand still with it`
}

function getsFrom(me: string, host: string, seen: ReadonlyMap<string, SeenMember>): boolean {
  let source = seen.get(host)?.source
  // Never in a circle for long, but what is seen may be of several moments.
  for (let steps = 0; source !== undefined && steps < seen.size; steps++) {
    if (source === me) return true
    source = seen.get(source)?.source
  }
  return false
}

function unfit(why: string): PbmError {
  return new PbmError('EXTERNAL_UNFIT', why, {
    hint: 'Name another member in backup.priority, one without votes best of all (rs.syncFrom() changes who gets the oplog from whom); or make a physical backup, which locks for a moment',
  })
}
