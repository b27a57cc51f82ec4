import { databaseRole } from '../control/roles.js'
import 'reflect-metadata'
import { readFileSync } from 'node:fs'
import { cp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type DatabaseState,
  fixturesFolder,
  type ReplicaSet,
  removeTemporaryFolder,
  startReplicaSet,
  temporaryFolder,
} from '@pbmkit/conformance/testbed'
import { Long, type MongoClient, ObjectId, Timestamp } from 'mongodb'
import type { CommandDocument, RestoreCommand } from '../control/command-document.js'
import type { RestorePlan } from '../control/restore-plan.js'
import { ensureControlCollections } from '../control/setup.js'
import type { OperationLog } from '../log.js'
import { connectLeader, connectNode } from '../mongo/connect.js'
import { nodeInfo } from '../mongo/topology.js'
import type { ObjectStore } from '../plugin/storage.js'
import { PluginHost } from '../plugin-host/host.js'
import { ProgressPublisher } from '../protocol/progress.js'
import { CLOCK, LEADER, NODE, OPERATION_LOG, SCRATCH, SELF, WITH_STORE, type WithStore } from '../protocol/tokens.js'
import { openStore } from '../store/open.js'
import { systemClock } from '../time/clock.js'
import { planRestore } from './run/plan-restore.js'
import { Restore, type RestoreOutcome } from './run/restore.js'

const SCRATCH_SETTINGS = { folder: join(tmpdir(), `pbmkit-scratch-${process.pid}`), cacheGb: '0.25', keepFree: 0 }

/** Shared by the e2e of restores: a replica set of one with authentication, and a copy of a fixture as the storage. */
export interface Bench {
  readonly set: ReplicaSet
  readonly admin: MongoClient
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly host: PluginHost
  readonly store: ObjectStore
  /** Folder of the storage, to damage objects in. */
  readonly folder: string
  readonly log: RecordedLog
  restore(
    backupName: string,
    options?: { signal?: AbortSignal; command?: Partial<RestoreCommand>; leader?: MongoClient; withStore?: WithStore },
  ): Promise<RestoreOutcome>
  /** What a restore would do. */
  plan(backupName: string, command?: Partial<RestoreCommand>): Promise<RestorePlan>
  stop(): Promise<void>
}

export type Fixture = 'pbm-codecs' | 'pbm-pitr'

export async function startBench(fixture: Fixture): Promise<Bench> {
  const set = await startReplicaSet({ name: 'rs0', auth: true })
  const user = await set.createUser(databaseRole('agent'))
  const admin = await set.client()
  const uri = set.uri({ user })
  const node = await connectNode(set.uri({ user, member: 0, direct: true }), { appName: 'pbmkit-test' })
  const { client: leader } = await connectLeader(uri, { appName: 'pbmkit-test' })
  await ensureControlCollections(leader)
  // Plugins are found as the agent finds them: core itself names none.
  const host = new PluginHost({ resolveFrom: new URL('../../../agent/package.json', import.meta.url).href })
  const folder = await copyFixture(fixture)
  const abort = new AbortController()
  const storage = { type: 'filesystem', filesystem: { path: folder } }
  const store = await openStore(host, storage, { signal: abort.signal, warn: () => undefined })
  const log = new RecordedLog()
  return {
    set,
    admin,
    node,
    leader,
    host,
    store,
    folder,
    log,
    restore: async (backupName, options = {}) => {
      const { signal = abort.signal, command = {} } = options
      const container = host.container.createChildContainer()
      container.registerInstance(NODE, node)
      container.registerInstance(LEADER, options.leader ?? leader)
      container.registerInstance(SELF, { rs: 'rs0', node: set.members[0]?.host ?? '' })
      container.registerInstance<OperationLog>(OPERATION_LOG, log)
      container.registerInstance(CLOCK, systemClock)
      container.registerInstance(SCRATCH, SCRATCH_SETTINGS)
      container.registerInstance<WithStore>(WITH_STORE, options.withStore ?? ((_signal, work) => work(store)))
      container.registerInstance(PluginHost, host)
      return container.resolve(Restore).run(restoreCommand(backupName, command), { signal })
    },
    plan: async (backupName, command = {}) => {
      const { restore } = restoreCommand(backupName, command)
      const progress = new ProgressPublisher(systemClock, async () => undefined)
      const info = await nodeInfo(node)
      const self = { rs: 'rs0', node: set.members[0]?.host ?? '' }
      const { signal } = abort
      return await planRestore(restore, {
        leader,
        node,
        self,
        info,
        log,
        host,
        ciphers: undefined,
        store,
        signal,
        progress,
        clock: systemClock,
        opid: '',
        scratch: SCRATCH_SETTINGS,
      })
    },
    stop: async () => {
      abort.abort()
      await Promise.all([store.close(), node.close(), leader.close()])
      await set.stop()
      await removeTemporaryFolder(folder)
    },
  }
}

export function restoreCommand(backupName: string, command: Partial<RestoreCommand> = {}) {
  const restore: RestoreCommand = {
    name: `${new Date().toISOString()}-${new ObjectId().toHexString()}`,
    backupName,
    fallbackEnabled: null,
    allowPartlyDone: null,
    external: false,
    extConf: null,
    extTS: new Timestamp(Long.ZERO),
    exit: false,
    ...command,
  }
  const sent: CommandDocument & { cmd: 'restore' } = { _id: new ObjectId(), ts: 0, cmd: 'restore', restore }
  return sent
}

/** Keeps every line, for tests that look for one. */
export class RecordedLog implements OperationLog {
  readonly lines: string[] = []
  debug(message: string): void {
    this.lines.push(`debug ${message}`)
  }
  info(message: string): void {
    this.lines.push(`info ${message}`)
  }
  warning(message: string): void {
    this.lines.push(`warning ${message}`)
  }
  error(message: string): void {
    this.lines.push(`error ${message}`)
  }
}

export async function expectedState(fixture: Fixture, label: string): Promise<DatabaseState> {
  const text = await readFile(join(fixtureFolder(fixture), `expected.${label}.json`), 'utf8')
  return JSON.parse(text) as DatabaseState
}

export function fixtureFolder(fixture: Fixture): string {
  const folder = fixturesFolder()
  if (folder === undefined) throw new Error('The fixtures are not at hand: set PBMKIT_FIXTURES')
  return join(folder, fixture)
}

export async function copyFixture(fixture: Fixture): Promise<string> {
  const folder = await temporaryFolder('pbmkit-restore-')
  await cp(join(fixtureFolder(fixture), 'storage'), folder, { recursive: true })
  return folder
}

/** The backup of the fixture `pbm-pitr`, and the last time that it is known of. */
export function pitrManifest(): { base: string; end: Timestamp } {
  const { snapshots, marks } = JSON.parse(readFileSync(join(fixtureFolder('pbm-pitr'), 'manifest.json'), 'utf8')) as {
    snapshots: { name: string }[]
    marks: { unix: number }[]
  }
  return { base: snapshots[0]?.name ?? '', end: new Timestamp({ t: marks.at(-1)?.unix ?? 0, i: 0 }) }
}
