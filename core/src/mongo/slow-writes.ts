import type { CommandStartedEvent, Document, MongoClient } from 'mongodb'
import { majorityStatus } from './majority.js'

/** How long a write may take before it is told what it waits for. */
const TELL_MS = 2_000

const WRITES = new Set(['insert', 'update', 'delete', 'findAndModify', 'create', 'createIndexes'])

/**
 * Has it said what a write waits for that the server has not acknowledged after two seconds, as where a majority of the
 * members that hold data is away; once, until one is acknowledged again. The client must have been made with
 * `monitorCommands`.
 */
export function tellSlowWrites(client: MongoClient, say: (text: string) => void): void {
  const waiting = new Map<number, NodeJS.Timeout>()
  let isTold = false
  const tell = async (event: CommandStartedEvent): Promise<void> => {
    if (isTold) return
    isTold = true
    const missing = await missingMembers(client)
    if (waiting.has(event.requestId)) say(`waiting for ${textOf(event)} to be acknowledged${missing}`)
    else isTold = false
  }
  client.on('commandStarted', (event) => {
    if (!WRITES.has(event.commandName) || event.command.writeConcern?.w !== 'majority') return
    const timer = setTimeout(() => void tell(event), TELL_MS)
    timer.unref()
    waiting.set(event.requestId, timer)
  })
  const ended = (requestId: number): boolean => {
    clearTimeout(waiting.get(requestId))
    return waiting.delete(requestId)
  }
  client.on('commandFailed', ({ requestId }) => ended(requestId))
  client.on('commandSucceeded', ({ requestId, reply }) => {
    if (!ended(requestId) || !isTold || (reply as Document).writeConcernError !== undefined) return
    isTold = false
    say('writes are acknowledged again')
  })
}

function textOf({ commandName, command, databaseName }: CommandStartedEvent): string {
  return `${commandName} on ${databaseName}.${String(command[commandName])}`
}

async function missingMembers(client: MongoClient): Promise<string> {
  try {
    const { set, away } = await majorityStatus(client)
    return ` by a majority of replica set ${set}${away.length === 0 ? ', whose members are behind' : `: ${away.join(', ')}`}`
  } catch {
    return ' by a majority of its replica set'
  }
}
