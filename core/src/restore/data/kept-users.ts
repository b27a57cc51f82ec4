import type { MongoClient } from 'mongodb'
import { listAgents } from '../../control/agents.js'
import type { NodeInfo } from '../../mongo/topology.js'
import { connectedUser, type Kept } from './users-and-roles.js'

/** More than a cluster has; the control collections are not trusted for it. */
const MOST_USERS = 1_000

/**
 * Whom a restore may not lock out of this replica set, as `DB.USER`: those that its agents are logged in as; on the leader
 * replica set those of all agents, who read commands there, and who gave this one and may wait for its end.
 */
export async function usersInUse(
  leader: MongoClient,
  { rs, isSharded, isConfigServer }: Pick<NodeInfo, 'rs' | 'isSharded' | 'isConfigServer'>,
  sender: unknown,
): Promise<string[]> {
  const isLeader = !isSharded || isConfigServer
  const agents = (await listAgents(leader)).filter((agent) => isLeader || agent.rs === rs)
  const users: unknown[] = [...agents.map(({ user }) => user), ...(isLeader ? [sender] : [])]
  return [...new Set(users.filter((user) => typeof user === 'string'))].slice(0, MOST_USERS)
}

/**
 * Who stays exactly as they are now, with the roles that they have by now, directly or through others: the user of this
 * connection, and those of `names` that there are. Nobody gets a privilege by being named, and nobody is made.
 */
export async function keptUsers(client: MongoClient, names: readonly string[]): Promise<Kept> {
  const own = await connectedUser(client)
  const others = names.filter((name) => name.includes('.') && !own.users.has(name)).map(userOf)
  if (others.length === 0) return own
  const found = await client.db('admin').command({ usersInfo: others, showPrivileges: true })
  const users = found.users as { _id: string; inheritedRoles?: { role: string; db: string }[] }[]
  return {
    users: new Set([...own.users, ...users.map(({ _id }) => _id)]),
    roles: new Set([
      ...own.roles,
      ...users.flatMap(({ inheritedRoles = [] }) => inheritedRoles.map(({ role, db }) => `${db}.${role}`)),
    ]),
  }
}

/** Names of databases have no dot. */
function userOf(name: string): { user: string; db: string } {
  const dot = name.indexOf('.')
  return { db: name.slice(0, dot), user: name.slice(dot + 1) }
}
