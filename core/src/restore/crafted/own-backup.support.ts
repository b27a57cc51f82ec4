import 'reflect-metadata'
import { ObjectId } from 'mongodb'
import { container } from 'tsyringe'
import { BackupLeader } from '../../backup/leader.js'
import { BackupNominee } from '../../backup/nominee.js'
import { publishAgent } from '../../control/agents.js'
import type { BackupCommand, CommandDocument } from '../../control/command-document.js'
import type { Ciphers } from '../../encryption/ciphers.js'
import type { OperationLog } from '../../log.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { connectPrimary } from '../../mongo/connect.js'
import { nodeInfo } from '../../mongo/topology.js'
import { PluginHost } from '../../plugin-host/host.js'
import {
  CIPHERS,
  CLOCK,
  COMPRESSION,
  LEADER,
  NODE,
  NODE_URI,
  OPERATION_LOG,
  SELF,
  STORE,
  WITH_PRIMARY,
  type WithPrimary,
} from '../../protocol/tokens.js'
import type { OpenStore } from '../../store/open-store.js'
import { systemClock } from '../../time/clock.js'
import type { CraftedTarget, TargetPart } from './target.support.js'

export interface OwnBackup {
  readonly target: CraftedTarget
  readonly host: PluginHost
  readonly log: OperationLog
  readonly store: OpenStore
  readonly ciphers?: Ciphers | undefined
  readonly name: string
  readonly type: 'logical' | 'physical'
  readonly compression: string
}

/** A real backup, as the agents beside the primaries make it. */
export async function makeOwnBackup(own: OwnBackup): Promise<void> {
  const { target, name, type, compression } = own
  for (const part of target.parts) await publish(target, part)
  const backup: BackupCommand = { type, base: false, name, compression }
  const command: CommandDocument & { cmd: 'backup' } = { _id: new ObjectId(), ts: 0, cmd: 'backup', backup }
  const { signal } = new AbortController()
  const children = await Promise.all(target.parts.map((part) => containerOf(own, part)))
  await Promise.all([
    children[0]?.resolve(BackupLeader).run(command, { signal }),
    ...children.map((child) => child.resolve(BackupNominee).run(command, { signal })),
  ])
}

async function publish({ leader }: CraftedTarget, { node }: TargetPart): Promise<void> {
  const info = await nodeInfo(node)
  const part = { ok: true, e: '' }
  await publishAgent(leader, {
    ...{ n: info.me, rs: info.rs, s: 1, str: 'PRIMARY', hdn: false, psv: false, arb: false, delay: 0, repl_lag: 0 },
    ...{ v: '0', mv: info.version, pbms: part, nodes: part, stors: part, hb: await clusterTime(leader), e: '' },
    physical: part,
  })
}

async function containerOf(
  { target: { leader }, host, log, store, ciphers, compression }: OwnBackup,
  { rs, host: node, node: client, uri }: TargetPart,
) {
  const child = container.createChildContainer()
  child.registerInstance(NODE, client)
  child.registerInstance(NODE_URI, uri)
  child.registerInstance(LEADER, leader)
  child.registerInstance<WithPrimary>(WITH_PRIMARY, async (work) => {
    const primary = await connectPrimary(uri, { appName: 'pbmkit-test' })
    return await work(primary).finally(() => primary.close())
  })
  child.registerInstance(SELF, { rs, node })
  child.registerInstance<OperationLog>(OPERATION_LOG, log)
  child.registerInstance(CLOCK, systemClock)
  child.registerInstance(STORE, store)
  child.registerInstance(PluginHost, host)
  child.registerInstance(COMPRESSION, await host.compression(compression))
  if (ciphers !== undefined) child.registerInstance(CIPHERS, ciphers)
  return child
}
