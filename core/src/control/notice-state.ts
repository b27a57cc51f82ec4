import type { MongoClient } from 'mongodb'
import type { NoticeEvent } from '../config/notifications.js'
import { isRecord } from '../config/values.js'
import { NOTICE_STATE_ID, rewrite } from './own-documents.js'

/** Something that somebody is told. */
export interface Notice {
  /** Unique; the same for whoever notices it. */
  readonly id: string
  readonly event: NoticeEvent | 'test'
  /** Of what lasts: that it goes on, told again each day, or is over. */
  readonly state?: 'firing' | 'resolved'
  readonly subject: string
  readonly text: string
  readonly at: number
  /** `backup`, `restore`, or what a schedule does. */
  readonly operation?: string
  /** Of the backup, restore or schedule. */
  readonly name?: string
  readonly error?: string
}

export type Channel = 'webhook' | 'email'

/** A notice on its way to one recipient. */
export interface QueuedNotice {
  readonly notice: Notice
  /** Name of the notification. */
  readonly to: string
  readonly channel: Channel
  /** So many were in vain. */
  readonly attempts: number
  /** Not before then: after one in vain, or while an agent is at it. Milliseconds since the epoch. */
  readonly notBefore: number
}

/** Something that lasts. */
export interface Alarm {
  readonly key: string
  readonly event: NoticeEvent
  readonly text: string
  /** Names of the notifications that it concerns; absent for all who ask for the event. */
  readonly to?: readonly string[]
  readonly since: number
  /** When it was told last; absent until it has lasted for long enough. */
  readonly toldAt?: number
}

/** Where the newest chunk of a replica set ends that was looked at: Unix seconds, and the increment. */
export interface ChunkEnd {
  readonly rs: string
  readonly t: number
  readonly i: number
}

/** How it went last, by notification and channel. */
export interface Delivery {
  readonly id: string
  readonly at: number
  /** Absent where it arrived. */
  readonly error?: string
}

export interface NoticeState {
  /** Unix seconds, by cluster time: operations that ended before are told or of no concern. 0 until somebody has looked. */
  readonly endedSince: number
  /** Ids of operations that ended since, and are told. */
  readonly told: readonly string[]
  readonly chunks: readonly ChunkEnd[]
  /** `rs/host:port` of agents that have been there. */
  readonly agents: readonly string[]
  readonly alarms: readonly Alarm[]
  readonly queue: readonly QueuedNotice[]
  /** So many found no room in it. */
  readonly dropped: number
  /** By `NAME/channel`. */
  readonly deliveries: Readonly<Record<string, Delivery>>
}

export const NO_NOTICES: NoticeState = {
  ...{ endedSince: 0, told: [], chunks: [], agents: [], alarms: [], queue: [], dropped: 0, deliveries: {} },
}

/** Of what stands in the collection, as far as it can be used. */
export function readNoticeState(value: unknown): NoticeState {
  if (!isRecord(value)) return NO_NOTICES
  const list = (key: string): unknown[] => (Array.isArray(value[key]) ? value[key] : [])
  const deliveries = isRecord(value.deliveries) ? Object.entries(value.deliveries).filter(isDelivery) : []
  return {
    endedSince: Number(value.endedSince) || 0,
    told: list('told').filter((one) => typeof one === 'string'),
    chunks: list('chunks').filter(isChunkEnd),
    agents: list('agents').filter((one) => typeof one === 'string'),
    alarms: list('alarms').filter(isAlarm),
    queue: list('queue').filter(isQueued),
    dropped: Number(value.dropped) || 0,
    deliveries: Object.fromEntries(deliveries),
  }
}

/** Changes it where nobody comes between; what `change` gives beside it is given. */
export async function changeNotices<Result>(
  leader: MongoClient,
  change: (state: NoticeState) => { state: NoticeState; result: Result },
): Promise<Result> {
  return await rewrite(leader, NOTICE_STATE_ID, (document) => {
    const { state, result } = change(readNoticeState(document))
    return { fields: { ...state }, result }
  })
}

function isChunkEnd(value: unknown): value is ChunkEnd {
  return isRecord(value) && typeof value.rs === 'string' && typeof value.t === 'number' && typeof value.i === 'number'
}

function isAlarm(value: unknown): value is Alarm {
  return isRecord(value) && areTexts(value.key, value.event, value.text) && typeof value.since === 'number'
}

function isQueued(value: unknown): value is QueuedNotice {
  if (!isRecord(value) || !isRecord(value.notice)) return false
  const { id, event, subject, text, at } = value.notice
  return (
    areTexts(value.to, value.channel, id, event, subject, text) &&
    [at, value.attempts, value.notBefore].every((one) => typeof one === 'number')
  )
}

function isDelivery(entry: [string, unknown]): entry is [string, Delivery] {
  const [, value] = entry
  return isRecord(value) && typeof value.id === 'string' && typeof value.at === 'number'
}

function areTexts(...values: unknown[]): boolean {
  return values.every((value) => typeof value === 'string')
}
