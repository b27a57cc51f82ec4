import type { Document, MongoClient } from 'mongodb'
import { PbmError } from '../errors.js'

/** A resharding that the config servers still have something to do for; so are moves of unsharded collections. */
export interface RunningResharding {
  /** Of the collection. */
  readonly ns: string
  /** Of the server: `cloning`, `applying`, `committing` and so on. */
  readonly state: string
}

/** Nothing is left to do of these. */
const OVER = ['quiesced', 'done']

/** Of the cluster whose config servers these are; none elsewhere. */
export async function runningReshardings(leader: MongoClient): Promise<RunningResharding[]> {
  const found = await leader
    .db('config')
    .collection<Document>('reshardingOperations')
    .find({ state: { $nin: OVER } })
    .project({ _id: 0, ns: 1, state: 1 })
    .toArray()
  return found.map(({ ns, state }) => ({ ns: String(ns), state: String(state) }))
}

export function reshardingRunning({ ns, state }: RunningResharding, what: string): PbmError {
  return new PbmError('RESHARDING_RUNNING', `${what} while ${ns} is being resharded (it is ${state})`, {
    hint: 'Wait until that has ended, or end it with sh.abortReshardCollection()',
  })
}
