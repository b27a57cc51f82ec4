import { type MongoClient, ObjectId, type Timestamp } from 'mongodb'
import { type AgentDocument, listAgents } from '../control/agents.js'
import { findCommand } from '../control/commands.js'
import { PbmError } from '../errors.js'
import { clusterTime, isStale } from '../mongo/cluster-time.js'
import type { Clock } from '../time/clock.js'
import { until } from '../time/until.js'

/** One place that agents see as the configured storage. */
export interface StoragePlace {
  /** What it calls itself; undefined where nothing was ever written there. */
  readonly id: string | undefined
  /** Why it is not the storage that the cluster has used; absent where it is, or none was used yet. */
  readonly fault?: string
  /** `rs/host:port` of the members that see it. */
  readonly members: readonly string[]
}

/**
 * What the live agents see as the storage of the configuration of that epoch, the place of most members first. More than
 * one: backups and chunks of one member would not be there for another. Agents that can't look, and PBM's, say nothing.
 */
export function storagePlaces(agents: readonly AgentDocument[], now: Timestamp, epoch: Timestamp): StoragePlace[] {
  const places = new Map<string | undefined, AgentDocument[]>()
  for (const agent of agents) {
    const { stors, place } = agent
    if (tellsNothing(agent, now) || !(stors.ok || place?.other === true) || !isOf(agent, epoch)) continue
    places.set(place?.id, [...(places.get(place?.id) ?? []), agent])
  }
  return [...places]
    .map(([id, those]) => {
      const other = those.find(({ place }) => place?.other === true)
      return {
        id,
        members: those.map(({ rs, n }) => `${rs}/${n}`),
        ...(other !== undefined && { fault: other.stors.e }),
      }
    })
    .sort((a, b) => b.members.length - a.members.length)
}

/**
 * As {@link storagePlaces} once time is over for a command: who has not answered it, and saw a storage that nothing was ever
 * written to, may have looked before the others wrote there, and hang since then.
 */
export function answeredPlaces(
  agents: readonly AgentDocument[],
  now: Timestamp,
  epoch: Timestamp,
  opid: string,
): StoragePlace[] {
  const isCurrent = ({ place = {} }: AgentDocument) =>
    place.id !== undefined || place.other === true || place.opid === opid
  return storagePlaces(agents.filter(isCurrent), now, epoch)
}

/** In words: who sees what. For more than one place. */
export function placesText(places: readonly StoragePlace[]): string {
  const parts = places.map(({ id, members, fault }) => {
    const [who, sees] = [members.join(', '), members.length === 1 ? 'sees' : 'see']
    const what = id === undefined ? 'one that nothing was ever written to' : `storage ${id}`
    return `${who} ${sees} ${what}${fault === undefined ? '' : ', which this cluster has not used'}`
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
  // What was used is right however many see it; of the others each says what is wrong.
  if (places.some(({ fault }) => fault !== undefined)) return undefined
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
 *
 * Returns the place; undefined where nobody tells.
 */
export async function requireOneStorage(options: OneStorageOptions): Promise<StoragePlace | undefined> {
  const { leader, opid, epoch, clock, signal } = options
  const isAsked = (await findCommand(leader, new ObjectId(opid))) !== undefined
  let places: StoragePlace[] = []
  let answered: StoragePlace[] = []
  const isSettled = async () => {
    const [agents, now] = await Promise.all([listAgents(leader), clusterTime(leader)])
    places = storagePlaces(agents, now, epoch)
    answered = answeredPlaces(agents, now, epoch, opid)
    const isWell = places.length < 2 && places.every(({ fault }) => fault === undefined)
    const isDone = isWell && agents.every((agent) => tellsNothing(agent, now) || isOf(agent, epoch))
    const isAnswered = agents.every((agent) => tellsNothing(agent, now) || agent.place?.opid === opid)
    return isDone || isAnswered
  }
  const timeoutMs = isAsked ? ANSWER_MS : OF_ITS_OWN_ACCORD_MS
  await until(isSettled, { clock, signal, everyMs: LOOK_MS, timeoutMs })
  if (isAsked) places = answered
  if (places.length < 2) return places[0]
  throw new PbmError('STORAGES_DIFFER', placesText(places), {
    hint: 'Mount the same share on the host of every member, or name the same bucket; pbm status shows who sees another place',
  })
}

/** As {@link requireOneStorage}; throws `STORAGE_CHANGED` where all agents see one, and not the one that the cluster has used. */
export async function requireUsedStorage(options: OneStorageOptions): Promise<void> {
  const place = await requireOneStorage(options)
  if (place?.fault !== undefined) throw new PbmError('STORAGE_CHANGED', place.fault)
}

/** What all live agents of ours see at that place of the configuration, each by itself; undefined where they do not agree. */
export function agreedPlace(agents: readonly AgentDocument[], now: Timestamp, at: string): string | undefined {
  const telling = agents.filter((agent) => !tellsNothing(agent, now))
  const [first] = telling
  const id = first?.place?.id
  const agree = telling.every(({ place, stors }) => stors.ok && place?.at === at && place.id === id)
  return agree ? id : undefined
}

function tellsNothing({ arb, place, hb }: AgentDocument, now: Timestamp): boolean {
  return arb || place === undefined || isStale(hb, now)
}

function isOf(agent: AgentDocument, epoch: Timestamp): boolean {
  return agent.epoch?.equals(epoch) === true
}
