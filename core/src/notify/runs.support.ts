import { type MongoClient, ObjectId, Timestamp } from 'mongodb'
import type { ScheduleConfig } from '../config/schedules.js'
import type { BackupStatus } from '../control/backup-document.js'
import { insertBackup, UNSET_TIMESTAMP } from '../control/backups.js'
import { readRunDocuments, writeSchedules } from '../control/run-documents.js'
import type { OperationLog } from '../log.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { COMMANDS, CONTROL_DATABASE, LOCKS } from '../mongo/control-names.js'
import { Scheduler } from '../schedule/scheduler.js'

/** The control collections of a server without agents, and schedules that are looked at when a test says so. */
export class RunsBench {
  readonly lines: string[] = []
  readonly log: OperationLog

  constructor(readonly leader: MongoClient) {
    const note = (line: string) => void this.lines.push(line)
    this.log = { debug: note, info: note, warning: note, error: note }
  }

  scheduler(node = 'a:1'): Scheduler {
    return new Scheduler({ leader: this.leader, self: { rs: 'rs', node }, log: () => this.log })
  }

  /** What an agent does that leads. */
  async look(now: number, scheduler = this.scheduler()): Promise<number> {
    return await scheduler.look(await readRunDocuments(this.leader), now)
  }

  async schedule(since: number, ...schedules: ScheduleConfig[]): Promise<void> {
    await writeSchedules(this.leader, () => [], since)
    await writeSchedules(this.leader, () => schedules, since)
  }

  async state(name: string) {
    return (await readRunDocuments(this.leader)).states[name]
  }

  commands() {
    return this.leader.db(CONTROL_DATABASE).collection(COMMANDS)
  }

  async sent(): Promise<string[]> {
    return (await this.commands().find().toArray()).map(({ cmd }) => String(cmd))
  }

  /** Another operation; what is given ends it. */
  async operation(): Promise<() => Promise<void>> {
    const locks = this.leader.db(CONTROL_DATABASE).collection(LOCKS)
    const hb = await clusterTime(this.leader)
    const lock = { type: 'resync', replset: 'rs', node: 'a:1', opid: new ObjectId().toHexString(), epoch: hb, hb }
    const { insertedId } = await locks.insertOne(lock)
    return async () => void (await locks.deleteOne({ _id: insertedId }))
  }

  async backup(name: string, status: BackupStatus, given: { opid?: string; endedAt?: number; error?: string } = {}) {
    const { t } = await clusterTime(this.leader)
    const at = given.endedAt ?? t
    await insertBackup(this.leader, {
      ...{ type: 'logical', opid: given.opid ?? new ObjectId().toHexString(), name, replsets: [], compression: 'none' },
      ...{ store: { type: 'filesystem' }, size: 0, size_uncompressed: 0, mongodb_version: '6.0.5', fcv: '6.0' },
      ...{ start_ts: at, last_transition_ts: at, first_write_ts: UNSET_TIMESTAMP },
      ...{
        last_write_ts: new Timestamp({ t: at, i: 1 }),
        hb: new Timestamp({ t, i: 1 }),
        status,
        conditions: [],
        n: [],
      },
      ...{ pbm_version: '2.15.0', balancer: 'off', ...(given.error !== undefined && { error: given.error }) },
    })
  }
}
