import { setTimeout as delay } from 'node:timers/promises'
import type { S3Client } from '@aws-sdk/client-s3'
import type { PluginError } from '@pbmkit/core/plugin'
import { jittered, type Operation } from '@pbmkit/core/plugin/kit'
import type { Digests } from './digests.js'
import type { EncryptionParameters } from './sse.js'

/** What the parts of a store share. */
export interface Place {
  readonly client: S3Client
  readonly bucket: string
  readonly encryption: EncryptionParameters
  readonly storageClass: string | undefined
  readonly digests: Digests
  /** What S3, the network or TLS said, as an error of a storage. */
  translate(error: unknown): PluginError
  /** Whether the same request may succeed in a moment. */
  mayPass(error: unknown): boolean
  warn(message: string): void
}

/** Rounds of tries, each of them with all that the SDK's own retries allow. */
const ROUNDS = 3
const BASE_MS = 500
const LONGEST_MS = 10_000

/** Tries again what may pass, after waits of random length: a part that fails must not cost a whole upload. */
export async function retried<T>(place: Place, operation: Operation, request: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round++) {
    operation.check()
    try {
      return await request()
    } catch (error) {
      operation.check()
      if (round === ROUNDS || !place.mayPass(error)) throw error
      await delay(jittered(round, BASE_MS, 0, LONGEST_MS), undefined, { signal: operation.signal }).catch(
        () => undefined,
      )
    }
  }
}
