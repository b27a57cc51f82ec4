import { type Document, type MongoClient, ObjectId } from 'mongodb'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { connectedAs } from '../mongo/connected-user.js'
import { COMMANDS, CONTROL_DATABASE } from '../mongo/control-names.js'
import { type AgentDocument, listAgents } from './agents.js'
import type { Command, CommandDocument } from './command-document.js'
import { commandFault } from './command-fields.js'
import { readNumber, toWire, unixSeconds } from './wire.js'

const commands = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(COMMANDS)

/**
 * Sends a command to all agents and returns the operation id. Majority-acknowledged: it cannot be rolled back. With an id that
 * another command has, rejects with the driver's duplicate-key error.
 */
export async function sendCommand(leader: MongoClient, command: Command, _id = new ObjectId()): Promise<ObjectId> {
  const sent = await signed(leader, command)
  // PBM's agents drop the second of two commands of one kind and one second (PBM: control-plane.md §2), so a stamp is
  // given only once for each kind.
  await commands(leader).insertOne({ _id, ...toWire({ ...sent, ts: await freeSecond(leader, command.cmd) }) })
  return _id
}

/** With who sends it, where that is to outlive what the command does to users. */
async function signed(leader: MongoClient, command: Command): Promise<Command> {
  if (!('restore' in command) && !('replay' in command)) return command
  const sender = await connectedAs(leader)
  if (sender === undefined) return command
  if ('replay' in command) return { ...command, replay: { ...command.replay, sender } }
  return { ...command, restore: { ...command.restore, sender } }
}

export async function findCommand(leader: MongoClient, id: ObjectId): Promise<CommandDocument | undefined> {
  const found = await commands(leader).findOne({ _id: id })
  return found === null ? undefined : readCommand(found)
}

/**
 * Notes that a command was refused. It has no entry in `pbmOpLog`, since it never began, and an agent that starts a moment
 * later must not carry it out all the same. One that agents began by themselves has no command to note it on.
 */
export async function noteRefused(leader: MongoClient, _id: ObjectId): Promise<void> {
  await commands(leader).updateOne({ _id }, { $set: { refused: true } })
}

/** Whether it was; false, too, where the command is gone from the collection. */
export async function wasRefused(leader: MongoClient, _id: ObjectId): Promise<boolean> {
  return (await commands(leader).findOne({ _id }, { projection: { refused: 1 } }))?.refused === true
}

/** Notes that the agent which worked at a resync died. One that agents began by themselves has no command to note it on. */
export async function noteDeadResync(leader: MongoClient, opid: string): Promise<void> {
  if (!ObjectId.isValid(opid)) return
  await commands(leader).updateOne({ _id: new ObjectId(opid), cmd: 'resync' }, { $set: { died: true } })
}

/** A resync whose agent died, to be repeated: each is given once, to one of those who ask. */
export async function takeDeadResync(leader: MongoClient): Promise<CommandDocument | undefined> {
  const found = await commands(leader).findOneAndUpdate({ cmd: 'resync', died: true }, { $set: { died: false } })
  return found === null ? undefined : readCommand(found)
}

/** Undefined for what is no command of PBM's or ours: see {@link refusalOf}. */
export function readCommand(found: Document): CommandDocument | undefined {
  if (refusalOf(found) !== undefined) return undefined
  return { ...found, ts: readNumber(found.ts) } as CommandDocument
}

/**
 * Why a document of the collection is no command: an unknown kind, a missing payload, a field or an `_id` of another type.
 * Anybody who can write to the collection may have made it.
 */
export function refusalOf(found: Document): string | undefined {
  return found._id instanceof ObjectId ? commandFault(found) : 'its _id is not an ObjectId'
}

/** Seconds that a sender's clock may be behind; ours take up what was sent twice as long before their start. */
const MOST_BEHIND_SECONDS = 5

/**
 * Agents pass over what was sent before they started, ours by the time of their cluster: a sender whose clock is behind must
 * not look like that. But PBM's go by their own clock, and take a command stamped ahead of it up again after the next one, so
 * where there is one the sender's clock counts: cluster time, which is never behind any server's, may be far ahead of it.
 */
export function stampSeconds(own: number, cluster: number, agents: readonly Pick<AgentDocument, 'plugins'>[]): number {
  const isOurs = agents.every(({ plugins }) => plugins !== undefined)
  return isOurs && cluster - own > MOST_BEHIND_SECONDS ? cluster : own
}

async function freeSecond(leader: MongoClient, cmd: Command['cmd']): Promise<number> {
  const [cluster, agents] = await Promise.all([clusterTime(leader), listAgents(leader)])
  const now = stampSeconds(unixSeconds(), secondsOf(cluster), agents)
  const last = await commands(leader).findOne({ cmd, ts: { $gte: now } }, { sort: { ts: -1 }, projection: { ts: 1 } })
  return last === null ? now : readNumber(last.ts) + 1
}
