import { type MongoClient, ObjectId, type Timestamp } from 'mongodb'
import { type AgentDocument, listAgents } from '../control/agents.js'
import { findCommand } from '../control/commands.js'
import { PbmError } from '../errors.js'
import { clusterTime, isStale } from '../mongo/cluster-time.js'
import type { Clock } from '../time/clock.js'

/** One place that agents see as the configured storage. */
export interface StoragePlace {
  /** What it calls itself; undefined where nothing was ever written there. */
  readonly id: string | undefined
  /** `rs/host:port` of the members that see it. */
  readonly members: readonly string[]
}

/**
 * What the live agents see as the storage of the configuration of that epoch, the place of most members first. More than
 * one: backups and chunks of one member would not be there for another. Agents that can't look, and PBM's, say nothing.
 */
export function storagePlaces(agents: readonly AgentDocument[], now: Timestamp, epoch: Timestamp): StoragePlace[] {
  const places = new Map<string | undefined, string[]>()
  for (const agent of agents) {
    const { rs, n, stors, place } = agent
    if (tellsNothing(agent, now) || !stors.ok || !isOf(agent, epoch)) continue
    places.set(place?.id, [...(places.get(place?.id) ?? []), `${rs}/${n}`])
  }
  return [...places].map(([id, members]) => ({ id, members })).sort((a, b) => b.members.length - a.members.length)
}

/** In words: who sees what. For more than one place. */
export function placesText(places: readonly StoragePlace[]): string {
  const parts = places.map(({ id, members }) => {
    const [who, sees] = [members.join(', '), members.length === 1 ? 'sees' : 'see']
    return `${who} ${sees} ${id === undefined ? 'one that nothing was ever written to' : `storage ${id}`}`
  })
  return `the configured storage is not the same place for all members: ${parts.join('; ')}`
}

/**
 * What is wrong with the storage of one member that sees another place than most; of every member where there is no such
 * thing as most.
 */
export function otherPlaceText(member: string, places: readonly StoragePlace[]): string | undefined {
  const [most, next] = places
  const seen = places.find(({ members }) => members.includes(member))
  if (most === undefined || next === undefined || seen === undefined) return undefined
  if (seen === most && most.members.length > next.members.length) return undefined
  const others = places.filter((place) => place !== seen).flatMap(({ members }) => members)
  return `it is another place than that of ${others.join(', ')}: is the share mounted on this host?`
}

/** PBM's agents look for their nomination for 15 s after the command. */
const ANSWER_MS = 8_000
/** An agent that is well looks each 15 s, and reports within 5 s. */
const OF_ITS_OWN_ACCORD_MS = 25_000
const LOOK_MS = 100

export interface OneStorageOptions {
  readonly leader: MongoClient
  /** The command's: for it, each agent looks anew. */
  readonly opid: string
  /** Of the configuration. */
  readonly epoch: Timestamp
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Throws `STORAGES_DIFFER`, with who sees what, where agents see different places as the storage. What they have told is
 * believed when all agree; else each is waited for, for a while. What an agent has begun by itself has no command that the
 * others could answer: then it is waited until they see one place by themselves. Agents of PBM tell nothing.
 */
export async function requireOneStorage({ leader, opid, epoch, clock, signal }: OneStorageOptions): Promise<void> {
  const isAsked = (await findCommand(leader, new ObjectId(opid))) !== undefined
  const giveUp = clock.now() + (isAsked ? ANSWER_MS : OF_ITS_OWN_ACCORD_MS)
  for (;;) {
    const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
    const places = storagePlaces(agents, now, epoch)
    const isDone = places.length < 2 && agents.every((agent) => tellsNothing(agent, now) || isOf(agent, epoch))
    const isAnswered = agents.every((agent) => tellsNothing(agent, now) || agent.place?.opid === opid)
    if (isDone || isAnswered || clock.now() >= giveUp) {
      if (places.length < 2) return
      throw new PbmError('STORAGES_DIFFER', placesText(places), {
        hint: 'Mount the same share on the host of every member, or name the same bucket; pbm status shows who sees another place',
      })
    }
    await clock.sleep(LOOK_MS, signal)
  }
}

function tellsNothing({ arb, place, hb }: AgentDocument, now: Timestamp): boolean {
  return arb || place === undefined || isStale(hb, now)
}

function isOf(agent: AgentDocument, epoch: Timestamp): boolean {
  return agent.epoch?.equals(epoch) === true
}
