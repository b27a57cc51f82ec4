import type { Document, Filter, MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../errors.js'
import { CONTROL_DATABASE } from '../mongo/control-names.js'
import { type Actor, isFailure, type StateMachine, sourcesOf } from './state-machine.js'
import { toWire, unixSeconds } from './wire.js'

export interface TransitionOptions {
  /** Why it failed. Success writes '', as PBM does (PBM: control-plane.md §1.2). */
  error?: string
  /** Refuses transitions that are not this actor's; left out, anybody's will do. */
  by?: Actor
  /** Only while the heartbeat is still this one: for marking dead what may have come back since it was looked at. */
  ifHeartbeat?: Timestamp
  /** Only from this very state, where the machine allows others, too. */
  ifStatus?: string
}

export interface Transition<State extends string> {
  /** False when it was in that state already, or a failure came after the end. */
  changed: boolean
  /** The state it is in now; undefined when the document is gone. */
  status: State | undefined
}

export interface TransitionTarget<State extends string> {
  leader: MongoClient
  collection: string
  machine: StateMachine<State>
  /** What a message calls it: `backup 2031-02-03T04:05:06Z`. */
  what: string
  filter: Filter<Document>
  /** Set for one replica set's part, addressed as `replsets.$`. */
  replset?: string
}

/**
 * The one place that changes a state. The update is conditional on a state the machine allows to leave, so that two
 * writers cannot both win and nothing comes back from an end; it writes status, last_transition_ts, error and a
 * condition in one update, as PBM does.
 *
 * Going forward it must succeed: throws OPERATION_GONE when the document is missing and TRANSITION_REFUSED when the
 * present state does not allow it (say, canceled meanwhile). A failure is never refused aloud: it leaves an operation
 * that has ended, or vanished, as it is and tells so in the result.
 */
export async function transition<State extends string>(
  target: TransitionTarget<State>,
  to: State,
  options: TransitionOptions = {},
): Promise<Transition<State>> {
  const { leader, collection, machine, what, replset } = target
  const filter = options.ifHeartbeat === undefined ? target.filter : { ...target.filter, hb: options.ifHeartbeat }
  const path = replset === undefined ? '' : 'replsets.$.'
  const { ifStatus } = options
  const sources = sourcesOf(machine, to, options.by).filter((state) => ifStatus === undefined || state === ifStatus)
  const error = options.error ?? ''
  const timestamp = unixSeconds()
  const documents = leader.db(CONTROL_DATABASE).collection(collection)
  const changed = await documents.updateOne(
    replset === undefined
      ? { ...filter, status: { $in: sources } }
      : { ...filter, replsets: { $elemMatch: { name: replset, status: { $in: sources } } } },
    {
      $set: toLongs(path, to, timestamp, error),
      $push: { [`${path}conditions`]: toWire({ timestamp, status: to, ...(error === '' ? {} : { error }) }) },
    } as Document,
  )
  if (changed.matchedCount === 1) return { changed: true, status: to }

  const status = await currentStatus<State>(target)
  if (status === to || isFailure(machine, to)) return { changed: false, status }
  const whose = replset === undefined ? what : `${what}, replica set ${replset},`
  if (status === undefined) {
    throw new PbmError('OPERATION_GONE', `the record of ${whose} is gone: it cannot become ${to}`, {
      hint: 'Somebody deleted it or dropped the control collections; start the operation again',
    })
  }
  throw new PbmError('TRANSITION_REFUSED', `${whose} is ${status} and cannot become ${to}`)
}

function toLongs(path: string, status: string, timestamp: number, error: string): Document {
  const { last_transition_ts } = toWire({ last_transition_ts: timestamp })
  return { [`${path}status`]: status, [`${path}last_transition_ts`]: last_transition_ts, [`${path}error`]: error }
}

async function currentStatus<State extends string>(target: TransitionTarget<State>): Promise<State | undefined> {
  const found = await target.leader
    .db(CONTROL_DATABASE)
    .collection(target.collection)
    .findOne(target.filter, { projection: { status: 1, 'replsets.name': 1, 'replsets.status': 1 } })
  if (target.replset === undefined) return found?.status as State | undefined
  const replsets = (found?.replsets ?? []) as { name: string; status: State }[]
  return replsets.find(({ name }) => name === target.replset)?.status
}
