import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Document, MongoClient, MongoServerError } from 'mongodb'
import { createTlsFiles, type TlsFiles } from './certificates.js'
import { launchMongod, type MongodProcess } from './mongod.js'
import { hello } from './probe.js'
import { createKeyFile } from './standalone.js'
import { removeTemporaryFolder, temporaryFolder } from './supervisor.js'
import { buildUri, type UriOptions } from './uri.js'
import { ADMIN, createAdmin, createUserWith, PBM_USER, type TestRole } from './users.js'

const READY_TIMEOUT_MS = 90_000
const POLL_MS = 50

export interface ReplicaSetOptions {
  /** Path of the mongod to start; default: the one that `findMongod` finds. */
  readonly mongod?: string | undefined
  /** Default 1. */
  readonly members?: 1 | 2 | 3
  /** Keyfile authentication between members and users for clients. Default false. */
  readonly auth?: boolean
  /** Every connection encrypted, with a certificate authority made for this set. Default false. */
  readonly tls?: boolean
  /** Default `rs0`. */
  readonly name?: string
  /** How long members wait for a silent primary before they elect another one, in ms. Default 5000. */
  readonly electionTimeoutMillis?: number
  /** More arguments for every mongod. */
  readonly mongodArgs?: readonly string[]
  /** Added to the environment of every mongod. */
  readonly environment?: NodeJS.ProcessEnv | undefined
  /** Positions of members that are hidden and never primary. */
  readonly hiddenMembers?: readonly number[]
  /** Added to the entry of a member in the configuration, by position: `{2: {arbiterOnly: true}}`. */
  readonly memberConfig?: Readonly<Record<number, Document>>
  /** Added to `settings` of the configuration. */
  readonly settings?: Document
  /** What it is in a sharded cluster; default: no part of one. */
  readonly role?: 'config' | 'shard'
  /** With `auth`: the secret shared with the other replica sets of a sharded cluster. Default: one of its own. */
  readonly keyFile?: string
  /** Members speak to each other, and clients to them, through a {@link MongodProcess.network} that can be cut. */
  readonly cuttable?: boolean
}

export interface ReplicaSetUriOptions extends UriOptions {
  /** Name only this member as seed. */
  readonly member?: number
  /** Speak to that member (default the first) alone. */
  readonly direct?: boolean
}

export interface ReplicaSet {
  readonly name: string
  readonly members: readonly MongodProcess[]
  /** As the admin of the testbed (without credentials when started without `auth`). */
  readonly adminUri: string
  readonly tls: TlsFiles | undefined
  uri(options?: ReplicaSetUriOptions): string
  /** Waits for a primary, at most 90 s. */
  primary(): Promise<MongodProcess>
  secondaries(): Promise<MongodProcess[]>
  /** Makes the primary step down for `seconds` (default 60) and waits until another member is primary. */
  stepDown(seconds?: number): Promise<MongodProcess>
  /** Waits until every running member is primary, secondary or arbiter. */
  ready(): Promise<void>
  /** Connected as the admin; closed by `stop()`. */
  client(): Promise<MongoClient>
  /** Has `client()` connect anew: to a client, a restored primary of a lower term is an old one. */
  forgetClient(): Promise<void>
  /** Creates a user who has this role alone (once for each name) and gives the name for `uri({user})`. */
  createUser(role: TestRole, user?: string): Promise<string>
  /** Makes the password of a user known to `uri({user})`. */
  rememberUser(user: string, password: string): void
  /** Kills every member and removes their data. */
  stop(): Promise<void>
}

export interface Shard {
  readonly id: string
  readonly set: ReplicaSet
}

/** Starts a replica set and waits until it has a primary and every other member follows it. */
export async function startReplicaSet(options: ReplicaSetOptions = {}): Promise<ReplicaSet> {
  const name = options.name ?? 'rs0'
  const folder = await temporaryFolder('pbmkit-replset-')
  const credentials = new Map<string, string>()
  const keyFile = options.auth === true ? (options.keyFile ?? (await createKeyFile(folder))) : undefined
  const roleArgs = options.role === undefined ? [] : [options.role === 'config' ? '--configsvr' : '--shardsvr']
  const tls = options.tls === true ? await createTlsFiles(folder) : undefined
  const members = await Promise.all(
    Array.from({ length: options.members ?? 1 }, (_, index) =>
      launchMongod({
        mongod: options.mongod,
        folder: join(folder, String(index)),
        replSet: name,
        keyFile,
        tls,
        mongodArgs: [...roleArgs, ...(options.mongodArgs ?? [])],
        environment: options.environment,
        cuttable: options.cuttable,
        credentials,
      }),
    ),
  )
  const [first] = members
  if (first === undefined) throw new RangeError('a replica set has at least one member')

  let client: Promise<MongoClient> | undefined
  const users = new Map<string, Promise<string>>()

  const uri = ({ user, password, member, direct }: ReplicaSetUriOptions = {}): string => {
    const [known] = credentials.keys()
    const who = user === false ? undefined : (user ?? known)
    const seeds = member === undefined && direct !== true ? members : [members[member ?? 0]]
    return buildUri({
      hosts: seeds.flatMap((seed) => (seed === undefined ? [] : [seed.host])),
      user: who,
      password: password ?? (who === undefined ? undefined : credentials.get(who)),
      replicaSet: name,
      direct: direct === true,
      caFile: tls?.ca,
    })
  }

  // Without credentials: `hello` needs none, and a set without a majority cannot always check them.
  const ask = async (member: MongodProcess): Promise<Document | undefined> =>
    member.running ? hello(member.uri({ user: false })) : undefined

  const until = async <T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> => {
    const deadline = Date.now() + READY_TIMEOUT_MS
    for (;;) {
      const value = await attempt()
      if (value !== undefined) return value
      if (Date.now() > deadline) {
        const logs = members.map((member) => `${member.host}:\n${member.logTail(5)}`).join('\n')
        throw new Error(`${name}: ${what} not reached within ${READY_TIMEOUT_MS} ms\n${logs}`)
      }
      await sleep(POLL_MS)
    }
  }

  const membersWhere = async (test: (reply: Document) => boolean): Promise<MongodProcess[]> => {
    const replies = await Promise.all(members.map(ask))
    return members.filter((_, index) => {
      const reply = replies[index]
      return reply !== undefined && test(reply)
    })
  }

  const primary = (): Promise<MongodProcess> =>
    until('a primary', async () => (await membersWhere((reply) => reply.isWritablePrimary === true))[0])

  const ready = async (): Promise<void> => {
    await primary()
    await until('every member ready', async () => {
      const settled = await membersWhere(
        (reply) => reply.isWritablePrimary === true || reply.secondary === true || reply.arbiterOnly === true,
      )
      return settled.length === members.filter((member) => member.running).length ? true : undefined
    })
  }

  const set: ReplicaSet = {
    name,
    members,
    tls,
    get adminUri() {
      return uri()
    },
    uri,
    primary,
    secondaries: () => membersWhere((reply) => reply.secondary === true),
    ready,
    stepDown: async (seconds = 60) => {
      const before = await primary()
      const connection = await MongoClient.connect(before.uri())
      await connection
        .db('admin')
        .command({ replSetStepDown: seconds, secondaryCatchUpPeriodSecs: 10, force: true })
        .finally(() => connection.close())
      return until('another primary', async () => {
        const [now] = await membersWhere((reply) => reply.isWritablePrimary === true)
        return now === before ? undefined : now
      })
    },
    client: () => {
      client ??= MongoClient.connect(uri())
      return client
    },
    forgetClient: async () => {
      await (await client?.catch(() => undefined))?.close()
      client = undefined
    },
    createUser: (role, user = PBM_USER.user) => {
      const created =
        users.get(user) ??
        set.client().then(async (admin) => {
          await createUserWith(admin, user, role)
          credentials.set(user, PBM_USER.password)
          return user
        })
      users.set(user, created)
      return created
    },
    rememberUser: (user, password) => {
      credentials.set(user, password)
    },
    stop: async () => {
      await (await client?.catch(() => undefined))?.close()
      await Promise.all(members.map((member) => member.kill()))
      await Promise.all(members.map(({ network }) => network?.stop()))
      await removeTemporaryFolder(folder)
    },
  }

  try {
    await initiate(first, configuration(name, members, options))
    if (options.auth === true) {
      const localhost = await MongoClient.connect((await primary()).uri())
      await createAdmin(localhost).finally(() => localhost.close())
      credentials.set(ADMIN.user, ADMIN.password)
    }
    await ready()
    const admin = await set.client()
    await until('the settings asked for', () => settle(admin, options))
  } catch (error) {
    await set.stop()
    throw error
  }
  return set
}

function configuration(name: string, members: readonly MongodProcess[], options: ReplicaSetOptions): Document {
  return {
    _id: name,
    ...(options.role === 'config' ? { configsvr: true } : {}),
    members: members.map((member, _id) => ({
      _id,
      host: member.host,
      ...(options.hiddenMembers?.includes(_id) === true ? { hidden: true, priority: 0 } : {}),
      ...options.memberConfig?.[_id],
    })),
    // The members wait so long for a first primary too; `settle` sets what was asked for.
    settings: { ...settings(options), electionTimeoutMillis: 1_000 },
  }
}

async function initiate(member: MongodProcess, config: Document): Promise<void> {
  const connection = await MongoClient.connect(member.uri({ user: false }))
  try {
    await connection.db('admin').command({ replSetInitiate: config })
  } finally {
    await connection.close()
  }
}

function settings(options: ReplicaSetOptions): Document {
  // Shorter makes failovers quick, and a busy machine look like a dead one.
  const electionTimeoutMillis = options.electionTimeoutMillis ?? 5_000
  return {
    electionTimeoutMillis,
    heartbeatIntervalMillis: 500,
    heartbeatTimeoutSecs: Math.ceil(electionTimeoutMillis / 1_000),
    ...options.settings,
  }
}

/** Gives undefined while the members still agree on an earlier configuration: to be tried again. */
async function settle(admin: MongoClient, options: ReplicaSetOptions): Promise<true | undefined> {
  const { config } = await admin.db('admin').command({ replSetGetConfig: 1 })
  Object.assign(config.settings, settings(options))
  config.version += 1
  try {
    await admin.db('admin').command({ replSetReconfig: config })
    return true
  } catch (error) {
    const passing = [
      'ConfigurationInProgress',
      'CurrentConfigNotCommittedYet',
      'NewReplicaSetConfigurationIncompatible',
    ]
    if (error instanceof MongoServerError && passing.includes(error.codeName ?? '')) return undefined
    throw error
  }
}
