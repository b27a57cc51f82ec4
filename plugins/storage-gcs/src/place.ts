import { setTimeout as delay } from 'node:timers/promises'
import type { PluginError } from '@pbmkit/core/plugin'
import type { Operation } from '@pbmkit/core/plugin/kit'
import type { Client } from './client.js'
import { failureOf } from './errors.js'

/** What the parts of a store share. */
export interface Place {
  readonly client: Client
  /** What GCS, the network or TLS said, as an error of a storage. */
  translate(error: unknown): PluginError
}

/** An object as GCS describes it; numbers are texts. */
export interface Resource {
  readonly name?: string
  readonly size?: string | number
  readonly updated?: string
  readonly generation?: string | number
}

export interface Found {
  readonly size: number
  readonly modifiedAt: Date
}

export function foundOf({ size, updated }: Resource): Found {
  return { size: Number(size ?? 0), modifiedAt: new Date(updated ?? 0) }
}

/** An answer of success, or {@link HttpFailure}. */
export async function requireOk(response: Response): Promise<Response> {
  if (response.ok) return response
  throw await failureOf(response)
}

/** Tries again what may pass, as `storage.gcs.retryer` says, and no longer than `millis`. */
export async function retried<T>(
  place: Place,
  operation: Operation,
  request: (attempt: number) => Promise<T>,
  millis = Number.POSITIVE_INFINITY,
): Promise<T> {
  const { attempts } = place.client.retryer
  const deadline = Date.now() + millis
  for (let attempt = 1; ; attempt++) {
    operation.check()
    try {
      return await request(attempt)
    } catch (error) {
      operation.check()
      const isLast = attempt >= attempts || Date.now() > deadline
      if (isLast || !place.translate(error).retriable) throw error
      await pause(place, operation, attempt)
    }
  }
}

/** Before try number `attempt` + 1; ends early with the operation. */
export async function pause({ client }: Place, operation: Operation, attempt: number): Promise<void> {
  const { firstWaitMs, longestWaitMs, multiplier } = client.retryer
  const longest = Math.min(longestWaitMs, firstWaitMs * multiplier ** Math.min(attempt - 1, 30))
  // Agents that failed together come back apart.
  const wait = longest * (0.5 + Math.random() / 2)
  await delay(wait, undefined, { signal: operation.signal }).catch(() => undefined)
}
