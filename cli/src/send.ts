import { COMMANDS, type Command, ensureControlCollection, sendCommand } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/**
 * Puts a command before the agents and answers its operation id (24 hex digits). The collection is made first where
 * somebody dropped it: an insert would make an uncapped one, and agents can't tail that.
 */
export async function send(leader: MongoClient, command: Command): Promise<string> {
  await ensureControlCollection(leader, COMMANDS)
  return (await sendCommand(leader, command)).toHexString()
}
