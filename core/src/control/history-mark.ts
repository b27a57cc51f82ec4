import type { MongoClient } from 'mongodb'
import {
  BACKUPS,
  CONFIG,
  CONTROL_DATABASE,
  LOCKS,
  PITR_CHUNKS,
  RESTORES,
  SLICER_LOCKS,
} from '../mongo/control-names.js'

/** Of the records, how many of the newest are looked at. */
const NEWEST = 5

/**
 * A text that changes when backups, restores or chunks come, go or reach another state, and when the configuration is
 * changed: a cheap look for whoever shows all of them and would not read thousands of records again and again. What is
 * written into an old record later is not seen, so a reader looks at the whole now and then.
 */
export async function historyMark(leader: MongoClient): Promise<string> {
  const control = (name: string) => leader.db(CONTROL_DATABASE).collection(name)
  const newest = (name: string, by: string, fields: readonly string[]) =>
    control(name)
      .find(
        {},
        {
          sort: { [by]: -1 },
          limit: NEWEST,
          projection: { _id: 0, ...Object.fromEntries(fields.map((field) => [field, 1])) },
        },
      )
      .toArray()
  const record = ['name', 'status', 'last_transition_ts']
  const seen = await Promise.all([
    ...[BACKUPS, RESTORES, PITR_CHUNKS].map((name) => control(name).estimatedDocumentCount()),
    newest(BACKUPS, 'start_ts', record),
    newest(RESTORES, '_id', record),
    newest(PITR_CHUNKS, 'start_ts', ['rs', 'start_ts', 'end_ts']),
    newest(LOCKS, '_id', ['type', 'opid', 'replset']),
    newest(SLICER_LOCKS, '_id', ['opid', 'replset', 'node']),
    newest(CONFIG, '_id', ['epoch']),
  ])
  return JSON.stringify(seen)
}
