import { createHash } from 'node:crypto'
import { type Clock, connectedAs, connectLeader, connectNode, errorText, PbmError } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/** How often connections are made, and rights judged, where nothing of the user seems to have changed. */
const CHECK_MS = 600_000

export interface CredentialWatchOptions {
  readonly uri: string
  readonly node: MongoClient
  readonly leader: MongoClient
  /** Whether the leader replica set is another one than that of the node, with users of its own. */
  readonly isShard: boolean
  readonly clock: Clock
  /** Between two looks at whether the user has changed (milliseconds). */
  readonly everyMs: number
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
  #changes = 0
  #looking = false
  #lookDue = Number.NEGATIVE_INFINITY
  #checkDue: number | undefined
  readonly #users = new Map<MongoClient, string>()

  constructor(options: CredentialWatchOptions) {
    this.#options = options
  }

  /** Another number than before where the user may have other rights than before. */
  get changes(): number {
    return this.#changes
  }

  /** With each report. Tells what the last look found; a new one goes on in the background: no report waits for it. */
  look(): CredentialFaults {
    const { clock, everyMs } = this.#options
    if (!this.#looking && clock.now() >= this.#lookDue) {
      this.#lookDue = clock.now() + everyMs
      this.#looking = true
      void this.#lookAnew().finally(() => {
        this.#looking = false
      })
    }
    return this.#faults
  }

  /** Makes connections only where the user has changed, is refused, or was not checked for long. Never rejects. */
  async #lookAnew(): Promise<void> {
    const { node, leader, isShard, clock } = this.#options
    const clients = isShard ? [node, leader] : [node]
    const found = await Promise.all(clients.map((client) => this.#fingerprint(client))).catch(() => undefined)
    const now = found?.join() ?? this.#known
    const isSame = this.#known === undefined || now === this.#known
    this.#known = now
    const isRefused = this.#faults.node !== '' || this.#faults.leader !== ''
    const isFirst = this.#checkDue === undefined
    if (isSame && !isRefused && this.#checkDue !== undefined && clock.now() < this.#checkDue) return
    this.#checkDue = clock.now() + CHECK_MS
    // It has just connected.
    if (isFirst) return
    this.#changes++
    this.#faults = await this.#check()
  }

  async #check(): Promise<CredentialFaults> {
    const { uri, isShard } = this.#options
    const options = { appName: 'pbm-agent-credentials' }
    const node = await refusalOf(() => connectNode(uri, options), this.#faults.node)
    if (!isShard) return { node, leader: node }
    const leader = await refusalOf(async () => (await connectLeader(uri, options)).client, this.#faults.leader)
    return { node, leader }
  }

  /** Of what the server checks passwords with; it changes with the password, with roles, and with a user made anew. */
  async #fingerprint(client: MongoClient): Promise<string> {
    const user = this.#users.get(client) ?? (await connectedAs(client))
    if (user === undefined) return ''
    this.#users.set(client, user)
    const [db, name] = [user.slice(0, user.indexOf('.')), user.slice(user.indexOf('.') + 1)]
    const command = { usersInfo: { user: name, db }, showCredentials: true }
    const { users } = await client.db('admin').command(command, { readPreference: 'primaryPreferred' })
    return createHash('sha256').update(JSON.stringify(users)).digest('hex')
  }
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
