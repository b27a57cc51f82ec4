import {
  type Clock,
  connectLeader,
  connectNode,
  connectPrimary,
  errorText,
  ignoredUriOptionsText,
  type NodeInfo,
  nodeInfo,
  PbmError,
  until,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Logger } from 'pino'

const RETRY_MS = 1_000
/** What passes by itself while a server or a replica set starts; everything else needs a person. */
const PASSING = new Set(['UNREACHABLE', 'NOT_INITIATED', 'NO_PRIMARY', 'NOT_REPLICA_SET_MEMBER', 'CONNECTION'])

export interface Connections {
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly info: NodeInfo
  /** Name of the leader replica set. */
  readonly leaderReplset: string
  close(): Promise<void>
}

export interface ConnectOptions {
  readonly uri: string
  /** Seconds that a server may take to come up. */
  readonly waitSeconds: number
  readonly clock: Clock
  readonly logger: Logger
  readonly signal: AbortSignal
}

/**
 * Connects to the mongod beside this agent and to the primary of the leader replica set. Waits for servers that are not up
 * yet; a wrong URI or password, a mongos or a standalone is refused at once.
 */
export async function connect(options: ConnectOptions): Promise<Connections> {
  const { uri, waitSeconds, clock, logger, signal } = options
  const deadline = clock.now() + waitSeconds * 1000
  let told = ''
  const ignored = ignoredUriOptionsText(uri)
  if (ignored !== undefined) logger.warn(ignored)
  const connected = async () => {
    signal.throwIfAborted()
    try {
      return await connectOnce(uri, (text) => logger.warn(text))
    } catch (error) {
      if (!(error instanceof PbmError) || !PASSING.has(error.code) || clock.now() >= deadline) throw error
      const text = errorText(error)
      if (text !== told) logger.warn(`waiting up to ${waitSeconds} s: ${text}`)
      told = text
      return undefined
    }
  }
  return await until(connected, { clock, signal, everyMs: RETRY_MS })
}

async function connectOnce(uri: string, onWaiting: (text: string) => void): Promise<Connections> {
  const node = await connectNode(uri, { appName: 'pbm-agent' })
  try {
    const info = await nodeInfo(node)
    const { client: leader, replset: leaderReplset } = await connectLeader(uri, {
      appName: 'pbm-agent-leader',
      onWaiting,
      isLasting: true,
    })
    return {
      node,
      leader,
      info,
      leaderReplset,
      close: async () => {
        await Promise.allSettled([node.close(), leader.close()])
      },
    }
  } catch (error) {
    await node.close()
    throw error
  }
}

/** Connected to the primary of the member's own replica set as long as the work takes. */
export async function workWithPrimary<T>(uri: string, work: (primary: MongoClient) => Promise<T>): Promise<T> {
  const primary = await connectPrimary(uri, { appName: 'pbm-agent-primary' })
  try {
    return await work(primary)
  } finally {
    await primary.close()
  }
}
