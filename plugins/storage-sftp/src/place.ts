import { PluginError } from '@pbmkit/core/plugin'
import { notFound, type Operation } from '@pbmkit/core/plugin/kit'
import { type Channel, STATUS_CODE, statusOf } from './channel.js'
import type { Connection } from './connection.js'

/** What the parts of a store share. */
export interface Place {
  readonly connection: Connection
  /** The folder of the store, absolute. */
  readonly root: string
  readonly requestsInFlight: number | undefined
}

export function pathOf(root: string, name: string): string {
  return root === '/' ? `/${name}` : name === '' ? root : `${root}/${name}`
}

export function isMissing(error: unknown): boolean {
  return statusOf(error) === STATUS_CODE.NO_SUCH_FILE
}

/** Memory of one transfer that waits for the server: enough for 40 MB/s at 100 ms. */
const IN_FLIGHT_BYTES = 4 * 1024 * 1024
const MOST_IN_FLIGHT = 64

/** How many requests of this size wait for an answer at once. */
export function widthOf({ requestsInFlight }: Place, requestBytes: number): number {
  return requestsInFlight ?? Math.min(MOST_IN_FLIGHT, Math.max(1, Math.floor(IN_FLIGHT_BYTES / requestBytes)))
}

/** Throws STORAGE_UNAVAILABLE when the root itself is gone. */
export async function requireRoot(channel: Channel, root: string): Promise<void> {
  const found = await channel.look(root).catch((error: unknown) => error)
  if (!isMissing(found)) return
  const text = `the folder ${root} is gone from the server; see that its disk is mounted`
  throw new PluginError('STORAGE_UNAVAILABLE', text, { cause: found, retriable: false })
}

/** A channel, unless the operation ends first. */
export function channelFor(place: Place, operation: Operation): Promise<Channel> {
  return operation.orEnd(place.connection.channel())
}

/** Size and time of an object. Zero bytes are let through. */
export async function lookUp(
  channel: Channel,
  root: string,
  name: string,
): Promise<{ size: number; modifiedAt: Date }> {
  try {
    const { size, modifiedAt, kind } = await channel.look(pathOf(root, name))
    if (kind !== 'file') throw notFound(name)
    return { size, modifiedAt }
  } catch (error) {
    throw await missing(error, channel, root, name)
  }
}

/** "Not there" is one answer for an object and for the folders above it; a root that is gone is another. */
export async function missing(error: unknown, channel: Channel, root: string, name: string): Promise<unknown> {
  if (!isMissing(error)) return error
  await requireRoot(channel, root)
  return notFound(name, error)
}

/** Settles as `work` does, or rejects when the signal comes first. */
export function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
