import type { MongoClient } from 'mongodb'

export interface MajorityStatus {
  /** Name of the replica set. */
  readonly set: string
  /** Enough members that hold data are up for a majority to acknowledge writes. */
  readonly isThere: boolean
  /** `host:port is STATE`, of each member that is neither primary nor secondary nor arbiter. */
  readonly away: readonly string[]
}

interface MemberStatus {
  readonly name: string
  readonly state: number
  readonly stateStr: string
}

const [PRIMARY, SECONDARY, ARBITER] = [1, 2, 7]

/** Whether the replica set that the client is connected to can acknowledge by majority, as its primary sees it. */
export async function majorityStatus(client: MongoClient): Promise<MajorityStatus> {
  const status = await client.db('admin').command({ replSetGetStatus: 1 })
  const members = status.members as MemberStatus[]
  const holding = members.filter(({ state }) => state === PRIMARY || state === SECONDARY)
  return {
    set: String(status.set),
    isThere: holding.length >= Number(status.writeMajorityCount ?? 0),
    away: members
      .filter((member) => member.state !== ARBITER && !holding.includes(member))
      .map(({ name, stateStr }) => `${name} is ${stateStr}`),
  }
}
