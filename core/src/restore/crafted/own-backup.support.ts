import 'reflect-metadata'
import type { MongoClient } from 'mongodb'
import { ObjectId } from 'mongodb'
import { container } from 'tsyringe'
import { BackupLeader } from '../../backup/leader.js'
import { BackupNominee } from '../../backup/nominee.js'
import { publishAgent } from '../../control/agents.js'
import type { BackupCommand, CommandDocument } from '../../control/command-document.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import type { OperationLog } from '../../log.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { nodeInfo } from '../../mongo/topology.js'
import { PluginHost } from '../../plugin-host/host.js'
import {
  CIPHERS,
  CLOCK,
  COMPRESSION,
  LEADER,
  NODE,
  OPERATION_LOG,
  SELF,
  STORE,
  WITH_PRIMARY,
  type WithPrimary,
} from '../../protocol/tokens.js'
import type { OpenStore } from '../../store/open-store.js'
import { systemClock } from '../../time/clock.js'

export interface OwnBackup {
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly host: PluginHost
  readonly log: OperationLog
  readonly store: OpenStore
  readonly ciphers?: Ciphers | undefined
  readonly name: string
  readonly compression: string
}

/** A real backup of a lone primary, as the agent beside it makes it. */
export async function makeOwnBackup(own: OwnBackup): Promise<void> {
  const { node, leader, host, log, store, ciphers, name } = own
  const info = await nodeInfo(node)
  const part = { ok: true, e: '' }
  await publishAgent(leader, {
    ...{ n: info.me, rs: info.rs, s: 1, str: 'PRIMARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 },
    ...{ v: '0', mv: info.version, pbms: part, nodes: part, stors: part, hb: await clusterTime(leader), e: '' },
  })
  const child = container.createChildContainer()
  child.registerInstance(NODE, node)
  child.registerInstance(LEADER, leader)
  child.registerInstance<WithPrimary>(WITH_PRIMARY, (work) => work(leader))
  child.registerInstance(SELF, { rs: info.rs, node: info.me })
  child.registerInstance<OperationLog>(OPERATION_LOG, log)
  child.registerInstance(CLOCK, systemClock)
  child.registerInstance(STORE, store)
  child.registerInstance(PluginHost, host)
  child.registerInstance(COMPRESSION, await host.compression(own.compression))
  if (ciphers !== undefined) child.registerInstance(CIPHERS, ciphers)
  const backup: BackupCommand = { type: 'logical', base: false, name, compression: own.compression }
  const command: CommandDocument & { cmd: 'backup' } = { _id: new ObjectId(), ts: 0, cmd: 'backup', backup }
  const { signal } = new AbortController()
  await Promise.all([
    child.resolve(BackupLeader).run(command, { signal }),
    child.resolve(BackupNominee).run(command, { signal }),
  ])
}
