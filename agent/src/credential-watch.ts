import { createHash } from 'node:crypto'
import { type Clock, connectedAs, connectLeader, connectNode, errorText, PbmError } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/** How often connections are made for it where nothing of the user seems to have changed. */
const CHECK_MS = 60_000

export interface CredentialWatchOptions {
  readonly uri: string
  readonly node: MongoClient
  readonly leader: MongoClient
  /** Whether the leader replica set is another one than that of the node, with users of its own. */
  readonly isShard: boolean
  readonly clock: Clock
}

/** Why the servers would not let this agent in any more; '' where they would, or do not answer. */
export interface CredentialFaults {
  readonly node: string
  readonly leader: string
}

/**
 * Whether the URI would still let this agent in. Connections that are there outlive a change of the password, and an agent
 * would look well until the first of them has to be made anew.
 */
export class CredentialWatch {
  readonly #options: CredentialWatchOptions
  #faults: CredentialFaults = { node: '', leader: '' }
  #known: string | undefined
  #due = 0

  constructor(options: CredentialWatchOptions) {
    this.#options = options
  }

  /** Makes connections only where the user has changed, or was not looked at for long. Never rejects. */
  async look(): Promise<CredentialFaults> {
    const { node, leader, isShard, clock } = this.#options
    const found = await Promise.all((isShard ? [node, leader] : [node]).map(fingerprint)).catch(() => undefined)
    const now = found?.join() ?? this.#known
    const isSame = this.#known === undefined || now === this.#known
    this.#known = now
    if (isSame && clock.now() < this.#due) return this.#faults
    const isFirst = this.#due === 0
    this.#due = clock.now() + CHECK_MS
    // It has just connected.
    if (!isFirst) this.#faults = await this.#check()
    return this.#faults
  }

  async #check(): Promise<CredentialFaults> {
    const { uri, isShard } = this.#options
    const options = { appName: 'pbm-agent-credentials' }
    const node = await refusalOf(() => connectNode(uri, options), this.#faults.node)
    if (!isShard) return { node, leader: node }
    const leader = await refusalOf(async () => (await connectLeader(uri, options)).client, this.#faults.leader)
    return { node, leader }
  }
}

/** Of what the server checks passwords with; it changes with the password, and with a user that is made anew. */
async function fingerprint(client: MongoClient): Promise<string> {
  const user = await connectedAs(client)
  if (user === undefined) return ''
  const [db, name] = [user.slice(0, user.indexOf('.')), user.slice(user.indexOf('.') + 1)]
  const command = { usersInfo: { user: name, db }, showCredentials: true }
  const { users } = await client.db('admin').command(command, { readPreference: 'primaryPreferred' })
  return createHash('sha256').update(JSON.stringify(users)).digest('hex')
}

/** A server that is away says nothing of the credentials: then what is known of them stays. */
async function refusalOf(connect: () => Promise<{ close(): Promise<void> }>, known: string): Promise<string> {
  try {
    const client = await connect()
    await client.close()
    return ''
  } catch (error) {
    const isRefused = error instanceof PbmError && ['AUTHENTICATION', 'UNAUTHORIZED'].includes(error.code)
    return isRefused ? errorText(error) : known
  }
}
