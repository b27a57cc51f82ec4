import type { MongoClient } from 'mongodb'
import { inject, injectable } from 'tsyringe'
import type { Ciphers } from '../../encryption/ciphers.js'
import type { OperationLog } from '../../log.js'
import type { ScratchSettings } from '../../mongo/scratch-settings.js'
import type { Member } from '../../mongo/topology.js'
import { PluginHost } from '../../plugin-host/host.js'
import {
  CIPHERS,
  CLOCK,
  LEADER,
  NODE,
  OPERATION_LOG,
  SCRATCH,
  SELF,
  WITH_STORE,
  type WithStore,
} from '../../protocol/tokens.js'
import type { Clock } from '../../time/clock.js'

/** What a restore and a replay of the oplog are given. */
@injectable()
export class RestoreContext {
  constructor(
    @inject(NODE) readonly node: MongoClient,
    @inject(LEADER) readonly leader: MongoClient,
    @inject(SELF) readonly self: Member,
    @inject(OPERATION_LOG) readonly log: OperationLog,
    @inject(CLOCK) readonly clock: Clock,
    @inject(WITH_STORE) readonly withStore: WithStore,
    @inject(PluginHost) readonly host: PluginHost,
    @inject(SCRATCH) readonly scratch: ScratchSettings,
    @inject(CIPHERS, { isOptional: true }) readonly ciphers: Ciphers | undefined,
  ) {}
}
