import { type BackupDocument, type PitrChunkDocument, UNSET_TIMESTAMP } from '@pbmkit/core'
import { Long, type MongoClient, Timestamp } from 'mongodb'

export interface PastShape {
  readonly replset: string
  readonly host: string
  readonly backups: number
  readonly chunks: number
  /** Unix seconds: the end of the newest chunk. */
  readonly end: number
  /** Of a chunk. */
  readonly chunkSeconds: number
  readonly mongodbVersion: string
  readonly fcv: string
}

/** Each is one that failed; the others are done. */
const FAILS_EVERY = 23
/** After as many chunks one is missing, once. */
const GAP_AT = 0.4

/** Records of backups and chunks as agents would have left them, straight into the control collections. */
export async function writePast(leader: MongoClient, shape: PastShape): Promise<void> {
  const admin = leader.db('admin')
  const backups = Array.from({ length: shape.backups }, (_, index) => backup(shape, index))
  const chunks = Array.from({ length: shape.chunks }, (_, index) => chunk(shape, index)).filter(
    (_, index) => index !== Math.floor(shape.chunks * GAP_AT),
  )
  for (let at = 0; at < backups.length; at += 1000)
    await admin.collection('pbmBackups').insertMany(backups.slice(at, at + 1000))
  for (let at = 0; at < chunks.length; at += 5000)
    await admin.collection('pbmPITRChunks').insertMany(chunks.slice(at, at + 5000))
}

function backup({ replset, host, backups, chunks, end, chunkSeconds, ...server }: PastShape, index: number): object {
  const whole = chunks * chunkSeconds
  const at = Math.round(end - whole + ((index + 0.5) / backups) * whole)
  const isFailed = index % FAILS_EVERY === FAILS_EVERY - 1
  const status = isFailed ? 'error' : 'done'
  const size = 40_000_000 + ((index * 7_919) % 17) * 3_000_000
  const ts = new Timestamp({ t: at, i: 1 })
  const common = {
    ...{ status, start_ts: Long.fromNumber(at - 60), last_transition_ts: Long.fromNumber(at + 20) },
    ...{ size: Long.fromNumber(size), size_uncompressed: Long.fromNumber(size * 3) },
    ...{ first_write_ts: isFailed ? UNSET_TIMESTAMP : ts, last_write_ts: isFailed ? UNSET_TIMESTAMP : ts },
    conditions: ['starting', 'running', 'dumpDone', status].map((word, step) => ({
      timestamp: Long.fromNumber(at - 60 + step * 20),
      status: word,
    })),
    ...(isFailed ? { error: 'storage: no space left on device' } : {}),
  }
  const name = new Date((at - 60) * 1000).toISOString().replace('.000Z', 'Z')
  return {
    ...{ type: 'logical', opid: at.toString(16).padStart(24, '0'), name, compression: 's2' },
    ...{ store: { type: 'filesystem', filesystem: { path: '/backups' } }, pbm_version: '2.15.0', balancer: 'off' },
    ...{ mongodb_version: server.mongodbVersion, fcv: server.fcv, n: [], hb: ts },
    ...common,
    replsets: [{ name: replset, node: host, ...common }],
  } satisfies Record<keyof Omit<BackupDocument, OptionalOfBackup>, unknown> & Record<string, unknown>
}

type OptionalOfBackup = {
  [Key in keyof BackupDocument]-?: object extends Pick<BackupDocument, Key> ? Key : never
}[keyof BackupDocument]

function chunk({ replset, chunks, end, chunkSeconds }: PastShape, index: number): object {
  const start = end - (chunks - index) * chunkSeconds
  const bound = (t: number) => new Timestamp({ t, i: 1 })
  const fname = `pbmPitr/${replset}/${start}-1.${start + chunkSeconds}-1.oplog.s2`
  return {
    ...{ rs: replset, fname, compression: 's2' },
    ...{ start_ts: bound(start), end_ts: bound(start + chunkSeconds), size: Long.fromNumber(180_000) },
  } satisfies Record<keyof Pick<PitrChunkDocument, 'rs' | 'fname' | 'start_ts' | 'end_ts'>, unknown> &
    Record<string, unknown>
}
